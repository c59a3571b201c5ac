// The file of a page: what names and numbers of others may not do to it.
#include "../../engine/temporary_folder.h"
#include "../../errors.h"
#include "page_text.h"

#include <kindred/apps/pages/page.h>
#include <kindred/apps/pages/shipped_assets.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

using test::between;
using test::count_of;
using test::hostile_names;
using test::is_utf8;

std::string random_bytes(std::mt19937& dice, std::size_t most) {
  // Bytes that begin, continue or end something are likely.
  const std::string likely("<>&\"'/!-\xe2\x80\xa8\xa9\xf0\x9f\x98\x80\xc3\xed\xa0 s\n\0", 25);
  std::string bytes(dice() % (most + 1), '\0');
  for (char& b : bytes) b = dice() % 3 == 0 ? static_cast<char>(dice() % 256) : likely[dice() % likely.size()];
  return bytes;
}

// What a browser shows for html_text's five entities.
std::string shown(std::string html) {
  const std::vector<std::pair<std::string, std::string>> entities{
      {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
  for (const auto& [entity, text] : entities)
    for (std::size_t at = 0; (at = html.find(entity, at)) != std::string::npos; at += text.size())
      html.replace(at, entity.size(), text);
  return html;
}

TEST_CASE("pages: text becomes HTML that shows it and does nothing else") {
  CHECK(html_text("a<b>\"c\" & 'd'") == "a&lt;b&gt;&quot;c&quot; &amp; &#39;d&#39;");
  CHECK(html_text("tab\tline\nreturn\r\x7f|") == "tab line return  |");
  CHECK(html_text("\xc2\x85|\xc2\xa0|") ==
        " |\xc2\xa0|");  // a control character of two bytes; a space that does not break
  CHECK(html_text("Müller 日本 😀") == "Müller 日本 😀");
  const std::string replacement = "\xef\xbf\xbd";
  CHECK(html_text("\xff") == replacement);
  CHECK(html_text("a\xe2\x82z") == "a" + replacement + "z");  // one for the character that was begun
  CHECK(html_text("\xed\xa0\x80") == replacement + replacement + replacement);
  CHECK(html_text("\xc0\xaf") == replacement + replacement);
  CHECK(html_text("").empty());
  std::mt19937 dice(3);
  std::vector<std::string> texts = hostile_names();
  for (int i = 0; i < 500; ++i) texts.push_back(random_bytes(dice, 40));
  for (const std::string& text : texts) {
    CAPTURE(text);
    const std::string html = html_text(text);
    CHECK(is_utf8(html));
    CHECK(html.find_first_of("<>\"'\n\t") == std::string::npos);
    const bool plain =
        std::ranges::none_of(text, [](unsigned char c) {  // 0xc2 begins the control characters of two bytes
          return c < ' ' || c == 0x7f || c == 0xc2;
        });
    if (is_utf8(text) && plain) CHECK(shown(html) == text);
  }
}

TEST_CASE("pages: a long name is shortened in its middle, and whole in its title") {
  CHECK(shortened_text("", 4).empty());
  CHECK(shortened_text("abcd", 4) == "abcd");
  CHECK(shortened_text("abcdefgh", 4) == "ab…h");
  CHECK(shortened_text("日本語日本語日本語", 7) == "日本語日…本語");
  CHECK(name_element("<cat>") == "<span class=\"name\">&lt;cat&gt;</span>");
  // 62 letters of a byte each become 59 and an ellipsis of three bytes: as long as before, and shortened all the same.
  std::mt19937 dice(5);
  for (const std::size_t letters : {60u, 61u, 62u, 63u, 300u}) {
    CAPTURE(letters);
    std::string name;
    for (std::size_t i = 0; i < letters; ++i) name += static_cast<char>('a' + dice() % 26);
    const std::string html = name_element(name);
    CHECK((html.find(" title=\"" + name + "\"") != std::string::npos) == (letters > 60));
    CHECK((html.find(">" + name + "<") != std::string::npos) == (letters <= 60));
    CHECK((html.find("…") != std::string::npos) == (letters > 60));
    if (letters > 60) CHECK(html.find(name.substr(letters - 19) + "</span>") != std::string::npos);
  }
  for (const std::string& name : hostile_names()) {
    CAPTURE(name);
    CHECK(is_utf8(name_element(name, 4)));
    CHECK(count_of(name_element(name, 4), "<") == 2);
  }
}

// The declarations of each rule of a style sheet, sorted.
std::vector<std::vector<std::string>> declarations_of_rules(const std::string& css) {
  const std::regex comment("/\\*[^]*?\\*/"), rule("\\{([^{}]*)\\}"), declaration("\\s*([^;]*[^;\\s])\\s*(;|$)");
  const std::string text = std::regex_replace(css, comment, "");
  std::vector<std::vector<std::string>> rules;
  for (std::sregex_iterator at(text.begin(), text.end(), rule), end; at != end; ++at) {
    const std::string body = (*at)[1];
    rules.emplace_back();
    for (std::sregex_iterator d(body.begin(), body.end(), declaration); d != end; ++d)
      rules.back().push_back((*d)[1]);
    std::ranges::sort(rules.back());
  }
  return rules;
}

TEST_CASE("pages: no two rules of the style draw the same box, and lines are cut in one of them") {
  const auto rules = declarations_of_rules(std::string(asset("page.css")));
  CHECK(rules.size() > 100);
  std::vector<std::string> boxes;
  std::size_t cut = 0;
  for (const auto& rule : rules) {
    std::string box;
    std::size_t parts = 0;
    for (const std::string& declaration : rule) {
      for (const char* const part : {"background:", "border:", "border-radius:"})
        if (declaration.starts_with(part)) box += declaration + "; ", ++parts;
      cut += declaration == "-webkit-box-orient: vertical";
    }
    if (parts == 3) boxes.push_back(box);
  }
  CHECK(cut == 1);
  CHECK(boxes.size() >= 5);
  for (const std::string& box : boxes) {
    CAPTURE(box);
    CHECK(std::ranges::count(boxes, box) == 1);
  }
}

TEST_CASE("pages: hostile strings in the JSON come back as they were and end nothing") {
  std::mt19937 dice(4);
  std::vector<std::string> names = hostile_names();
  for (int i = 0; i < 300; ++i) names.push_back(random_bytes(dice, 60));
  nlohmann::json data = {{"names", names}, {"numbers", {0.1, 1e300, -7, nullptr}}, {"nan", std::nan("")}};
  for (const std::string& name : names)
    if (is_utf8(name)) data["of"][name] = 1;
  const std::string text = page_text({.title = names[0], .body = "<p>x</p>", .data = &data});
  CHECK(is_utf8(text));
  const std::string json = between(text, "<script type=\"application/json\" id=\"data\">", "</script>");
  CHECK(json.find_first_of("<>&") == std::string::npos);
  CHECK(json.find("\u2028") == std::string::npos);
  CHECK(json.find("\u2029") == std::string::npos);
  const nlohmann::json read = nlohmann::json::parse(json);
  CHECK(read["nan"].is_null());
  CHECK(read["numbers"] == data["numbers"]);
  CHECK(read["of"] == data["of"]);
  int as_they_were = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string name = read["names"][i];
    if (is_utf8(names[i])) {
      CHECK(name == names[i]);
      ++as_they_were;
    } else {
      CHECK(name.find("\xef\xbf\xbd") != std::string::npos);
    }
  }
  CHECK(as_they_were >= 10);
  CHECK(count_of(text, "<script") == 2);  // the data, page.js
  CHECK(count_of(text, "</script>") == 2);
}

TEST_CASE("pages: a page asks for nothing from outside, and its policy forbids it") {
  const nlohmann::json data = {{"a", 1}};
  Page page{.title = "A & B", .body = "<p>text</p>", .data = &data, .scripts = {"chart.js", "map.js"}};
  const std::string text = page_text(page);
  const std::string policy = between(text, "Content-Security-Policy\" content=\"", "\"");
  CHECK(policy.starts_with("default-src 'none';"));
  CHECK(policy.find("connect-src") == std::string::npos);
  CHECK(policy.find("http") == std::string::npos);
  // Addresses stand in comments about licences, and as the name of SVG's elements.
  std::string code = std::regex_replace(text, std::regex(R"(/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)"), "");
  const std::string svg = "http://www.w3.org/2000/svg";
  for (std::size_t at; (at = code.find(svg)) != std::string::npos;) code.erase(at, svg.size());
  CHECK(code.find("http://") == std::string::npos);
  CHECK(code.find("https://") == std::string::npos);
  CHECK(count_of(code, "src=") == 0);
  CHECK(code.find("@import") == std::string::npos);
  CHECK(code.find("url(") == std::string::npos);
  CHECK(code.find("<link rel=\"icon\" href=\"data:,\">") != std::string::npos);
  page.talks_to_its_server = true;
  CHECK(between(page_text(page), "Content-Security-Policy\" content=\"", "\"") ==
        policy + "; connect-src 'self'");
}

TEST_CASE("pages: each has one heading, one main, its style and its scripts in their order") {
  Page page{.title = "A <b> & c", .body = "<p>text</p>"};
  page.scripts = {"map.js"};
  const std::string text = page_text(page);
  CHECK(text.starts_with("<!doctype html>\n<html lang=\"en\">"));
  CHECK(between(text, "<title>", "</title>") == "A &lt;b&gt; &amp; c");
  CHECK(count_of(text, "<h1>A &lt;b&gt; &amp; c</h1>") == 1);
  CHECK(count_of(text, "<main") == 1);
  CHECK(count_of(text, std::string(asset("page.css"))) == 1);
  CHECK(text.find("id=\"data\"") == std::string::npos);
  std::size_t before = 0;
  for (const std::string name :
       {"page.js", "map_data.js", "map_points.js", "map_side.js", "map_hand.js", "map.js"}) {
    CAPTURE(name);
    const std::size_t at = text.find(asset(name));
    REQUIRE(at != std::string::npos);
    CHECK(at > before);
    before = at;
  }
  page.body = "<main><h1>own</h1></main>";
  CHECK(count_of(page_text(page), "<h1") == 1);
  CHECK(count_of(page_text(page), "<main") == 1);
}

TEST_CASE("pages: the chart library stands behind its licence, or is not there") {
  CHECK(has_charts() == !asset("chart.js").empty());
  const std::string text = page_text({.title = "t", .scripts = {"chart.js"}});
  CHECK((text.find("Permission is hereby granted, free of charge") != std::string::npos) == has_charts());
  CHECK((text.find("Released under the MIT License") != std::string::npos) == has_charts());
  CHECK(count_of(text, "<script>") == (has_charts() ? 2 : 1));
  if (!has_charts()) MESSAGE("this build has no Chart.js");
}

TEST_CASE("pages: no script of ours reads text as HTML or runs it") {
  int looked_at = 0;
  for (const ShippedAsset& shipped : shipped_assets) {
    const std::string name = shipped.name, code(shipped.text);
    if (name == "chart.js" || !name.ends_with(".js")) continue;  // the library; styles
    CAPTURE(name);
    ++looked_at;
    CHECK(code.size() > 1000);
    for (const std::string word : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                                   "new Function", "XMLHttpRequest", "</script", "<!--"})
      CHECK_MESSAGE(code.find(word) == std::string::npos, word);
    const bool asks = code.find("fetch(") != std::string::npos;
    CHECK(asks == (name == "serve.js"));  // its pages alone may
  }
  CHECK(looked_at >= 10);
}

TEST_CASE("pages: the same page has the same bytes, and an unknown asset is a bug") {
  const nlohmann::json data = {{"z", {3, 1}}, {"a", "text"}};
  const Page page{.title = "t", .body = "<p>b</p>", .data = &data, .scripts = {"map.js"}};
  CHECK(page_text(page) == page_text(page));
  CHECK(test::code_of([] { asset("absent.js"); }) == ExitCode::internal);
  const TemporaryFolder folder;
  write_page(folder / "page.html", page);
  CHECK(read_bytes(folder / "page.html") == page_text(page));
  CHECK(folder.file_count() == 1);
  CHECK(test::code_of([&] { write_page(folder / "absent" / "page.html", page); }) == ExitCode::io);
}

}  // namespace
}  // namespace kindred
