// The colours of page.css: whether text can be read, and classes be told apart, in light and dark.
#include <kindred/apps/pages/page.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace kindred {
namespace {

using Rgb = std::array<double, 3>;  // linear light, 0 to 1
using Scheme = std::map<std::string, Rgb>;

// The variables --name: #rrggbb of a part of the style.
Scheme colors_of(const std::string& css) {
  Scheme scheme;
  for (std::size_t at = 0; (at = css.find("  --", at)) != std::string::npos; ++at) {
    const std::size_t colon = css.find(':', at);
    if (css.compare(colon, 3, ": #") != 0) continue;
    Rgb rgb{};
    for (std::size_t c = 0; c < 3; ++c) {
      const double v = std::stoi(css.substr(colon + 3 + 2 * c, 2), nullptr, 16) / 255.0;
      rgb[c] = v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
    }
    scheme[css.substr(at + 4, colon - at - 4)] = rgb;
  }
  return scheme;
}

std::array<Scheme, 2> schemes() {
  const std::string css(asset("page.css"));
  const std::size_t light = css.find(":root {"), dark = css.find(":root {", light + 1);
  REQUIRE(dark != std::string::npos);
  return {colors_of(css.substr(light, css.find('}', light) - light)),
          colors_of(css.substr(dark, css.find('}', dark) - dark))};
}

// WCAG 2.1.
double contrast(const Rgb& a, const Rgb& b) {
  const auto luminance = [](const Rgb& c) { return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; };
  const double high = std::max(luminance(a), luminance(b)), low = std::min(luminance(a), luminance(b));
  return (high + 0.05) / (low + 0.05);
}

using Matrix3 = std::array<Rgb, 3>;

Rgb times(const Matrix3& m, const Rgb& v) {
  Rgb out{};
  for (std::size_t r = 0; r < 3; ++r) out[r] = m[r][0] * v[0] + m[r][1] * v[1] + m[r][2] * v[2];
  return out;
}

// Oklab (Ottosson 2020): distances in it are about those that people see; 0.02 can just be seen.
Rgb oklab(const Rgb& rgb) {
  Rgb lms = times({{{0.4122214708, 0.5363325363, 0.0514459929},
                    {0.2119034982, 0.6806995451, 0.1073969566},
                    {0.0883024619, 0.2817188376, 0.6299787005}}},
                  rgb);
  for (double& v : lms) v = std::cbrt(v);
  return times({{{0.2104542553, 0.7936177850, -0.0040720468},
                 {1.9779984951, -2.4285922050, 0.4505937099},
                 {0.0259040371, 0.7827717662, -0.8086757660}}},
               lms);
}

// How colours look to people without one kind of cone (Machado, Oliveira and Fernandes 2009, severity 1), and to others.
const std::map<std::string, Matrix3> sights{
    {"all cones", {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}},
    {"protanopia",
     {{{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}}}},
    {"deuteranopia",
     {{{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}}}},
    {"tritanopia",
     {{{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}}}}};

TEST_CASE("pages: text has a contrast of 4.5 at least, and marks of 3, in light and dark") {
  for (const Scheme& scheme : schemes()) {
    CHECK(scheme.size() == 21);
    for (const std::string ground : {"ground", "sheet", "raised"})
      for (const std::string text : {"ink", "soft", "link", "right", "wrong"}) {
        CAPTURE(ground);
        CAPTURE(text);
        CHECK(contrast(scheme.at(text), scheme.at(ground)) >= 4.5);
      }
    CHECK(contrast(scheme.at("edge"), scheme.at("ground")) >= 3);  // of fields and buttons
    CHECK(contrast(scheme.at("edge"), scheme.at("sheet")) >= 3);
    for (int i = 0; i < 10; ++i) CHECK(contrast(scheme.at("c" + std::to_string(i)), scheme.at("ground")) >= 3);
  }
}

TEST_CASE("pages: the ten colours of classes differ for every kind of colour blindness") {
  for (const Scheme& scheme : schemes())
    for (const auto& [sight, matrix] : sights)
      for (int i = 0; i < 10; ++i)
        for (int j = 0; j < i; ++j) {
          std::array<Rgb, 2> seen;
          for (std::size_t k = 0; k < 2; ++k) {
            seen[k] = times(matrix, scheme.at("c" + std::to_string(k == 0 ? i : j)));
            for (double& v : seen[k]) v = std::clamp(v, 0.0, 1.0);
            seen[k] = oklab(seen[k]);
          }
          CAPTURE(sight);
          CAPTURE(i);
          CAPTURE(j);
          CHECK(std::hypot(seen[0][0] - seen[1][0], seen[0][1] - seen[1][1], seen[0][2] - seen[1][2]) > 0.085);
        }
}

}  // namespace
}  // namespace kindred
