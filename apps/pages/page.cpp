#include <kindred/apps/pages/page.h>
#include <kindred/apps/pages/shipped_assets.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kindred {
namespace {

constexpr std::string_view chart_library = "chart.js";

// Of Chart.js, whose file names the licence but does not hold its text.
constexpr std::string_view chart_licence = R"(/*
The charts of this page are drawn by Chart.js, under the MIT License:

Copyright (c) 2014-2022 Chart.js Contributors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software
is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES
OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR
IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
*/
)";

const ShippedAsset* shipped(std::string_view name) {
  const auto found =
      std::ranges::find_if(shipped_assets, [&](const ShippedAsset& a) { return name == a.name; });
  return found == shipped_assets.end() ? nullptr : &*found;
}

// Everything is forbidden but what stands in the page itself, and requests to its own server where it has one.
std::string policy(bool talks_to_its_server) {
  return std::string(
             "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
             "base-uri 'none'; form-action 'none'") +
         (talks_to_its_server ? "; connect-src 'self'" : "");
}

// JSON as the content of a script element: what could end the element, or begin a comment in it, stands only in strings, where
// it may be written as \u003c. U+2028 and U+2029 end lines of JavaScript.
std::string embedded_json(const nlohmann::json& data) {
  const std::string json = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string safe;
  safe.reserve(json.size() + json.size() / 64);
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string_view rest = std::string_view(json).substr(i, 3);
    if (json[i] == '<')
      safe += "\\u003c";
    else if (json[i] == '>')
      safe += "\\u003e";
    else if (json[i] == '&')
      safe += "\\u0026";
    else if (rest == "\xe2\x80\xa8")
      safe += "\\u2028", i += 2;
    else if (rest == "\xe2\x80\xa9")
      safe += "\\u2029", i += 2;
    else
      safe += json[i];
  }
  return safe;
}

std::string script_element(std::string_view name) {
  const std::string_view text = asset(name);
  if (text.empty()) return "";
  check(text.find("</script") == text.npos && text.find("<!--") == text.npos, ExitCode::internal,
        "{} has text that would end its element in a page", name);
  return "<script>\n" + std::string(name == chart_library ? chart_licence : "") + std::string(text) +
         "\n</script>\n";
}

// A script that is written in several files is called by the last of them.
std::vector<std::string> files_of_script(const std::string& name) {
  if (name == "map.js") return {"map_data.js", "map_points.js", "map_side.js", "map_hand.js", "map.js"};
  return {name};
}

// What programs need not repeat: the page's one <main>, and its one heading of the first rank.
std::string main_element(const Page& page) {
  if (page.body.find("<main") != std::string::npos) return page.body;
  const bool headed = page.body.find("<h1") != std::string::npos;
  return "<main>\n" + (headed ? "" : "<h1>" + html_text(page.title) + "</h1>\n") + page.body + "\n</main>";
}

}  // namespace

std::string_view asset(std::string_view name) {
  const ShippedAsset* found = shipped(name);
  check(found || name == chart_library, ExitCode::internal, "no page has an asset of the name {}", name);
  return found ? found->text : std::string_view();
}

bool has_charts() {
  return !asset(chart_library).empty();
}

std::string page_text(const Page& page) {
  std::string text = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  text +=
      "<meta http-equiv=\"Content-Security-Policy\" content=\"" + policy(page.talks_to_its_server) + "\">\n";
  text += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  text +=
      "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" content=\"Kindred\">\n";
  text += "<link rel=\"icon\" href=\"data:,\">\n";  // or the browser would ask for /favicon.ico
  text += "<title>" + html_text(page.title) + "</title>\n";
  text +=
      "<style>\n" + std::string(asset("page.css")) + "</style>\n</head>\n<body>\n" + main_element(page) + "\n";
  if (page.data)
    text += "<script type=\"application/json\" id=\"data\">" + embedded_json(*page.data) + "</script>\n";
  text += script_element("page.js");
  for (const std::string& script : page.scripts)
    for (const std::string& name : files_of_script(script)) text += script_element(name);
  return text + "</body>\n</html>\n";
}

void write_page(const std::filesystem::path& path, const Page& page) {
  write_file_atomically(path, page_text(page));
}

}  // namespace kindred
