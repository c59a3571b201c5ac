// The pages that programs write: one file of HTML each, which a browser opens from disk and which asks for nothing from outside.
//
// A page has its text as HTML, its numbers as JSON in an element of its own (id="data"), and scripts that draw them. The scripts
// are files of apps/pages/assets, which the build puts into the program; charts are drawn by Chart.js (MIT licence), a package of
// the system. A policy in the page (Content-Security-Policy) forbids the browser every request.
//
// Names of classes and files are hostile: they go through html_text(), or into the JSON, from where scripts write them with
// textContent and never as HTML.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// The text as HTML shows it: & < > " ' escaped; bytes that are not UTF-8 become U+FFFD, and control characters spaces.
std::string html_text(std::string_view text);

// The text with at most `most` (4 or more) letters: of a longer one its beginning and its end, with "…" between them.
std::string shortened_text(std::string_view text, std::size_t most);
inline constexpr std::size_t most_letters_of_name = 60;
// <span class="name"> with the name as HTML: a longer one shortened, and whole in the title.
std::string name_element(std::string_view name, std::size_t most = most_letters_of_name);

// The text of a file of apps/pages/assets by its name ("map.js"), or of "chart.js", the library. It is empty in a build
// without the package. Throws Error(internal) for any other name.
std::string_view asset(std::string_view name);
bool has_charts();  // the build had Chart.js

struct Page {
  std::string title;                     // plain text
  std::string body{};                    // HTML; what is not ours in it has gone through html_text()
  const nlohmann::json* data = nullptr;  // scripts get it by pageData(), which page.js defines
  // In this order, after page.js: names for asset(). Of the form "function drawX() {...}; drawX();" or the like.
  std::vector<std::string> scripts{};
  bool talks_to_its_server = false;  // for pages of `serve`: requests to where the page is from are allowed
};

// The whole file: <!doctype html> ... with page.css and page.js. The body is put into <main>, behind an <h1> of the title, where
// it has none of its own. The same page gives the same bytes.
std::string page_text(const Page& page);

// Writes it atomically (engine/files/atomic_file.h). Throws Error(io).
void write_page(const std::filesystem::path& path, const Page& page);

}  // namespace kindred
