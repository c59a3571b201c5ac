#include <kindred/apps/console/progress.h>  // defines: one_line
#include <kindred/apps/evaluation/csv_text.h>
#include <kindred/apps/pages/page.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/apps/similarity/words/search_answers.h>
#include <kindred/apps/similarity/words/words.h>  // defines: no_class
#include <kindred/engine/counted.h>
#include <kindred/engine/files/json_text.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace kindred {
namespace {

constexpr const char* search_csv_header = "image,rank,similarity,class,part,path,error\n";

void print_search_lines(const SimilarityIndex& index, const SearchAnswer& answer) {
  std::string text = one_line(answer.path) + ":";  // a name may hold a line break
  if (!answer.problem.empty()) text += " cannot be read: " + one_line(answer.problem);
  for (const FoundImage& found : answer.found) {
    const IndexedImage image = index.image(found.row);
    text += fmt::format("\n  {:.4f}  {}  {}", found.similarity,
                        image.class_name.empty() ? no_class : one_line(image.class_name), one_line(image.path));
  }
  fmt::print("{}\n", text);
}

std::string search_json(const SimilarityIndex& index, const SearchAnswer& answer) {
  nlohmann::json entry{{"path", answer.path}};
  if (!answer.problem.empty())
    entry["error"] = answer.problem;
  else
    entry["neighbours"] = nlohmann::json::array();
  for (const FoundImage& found : answer.found) {
    const IndexedImage image = index.image(found.row);
    nlohmann::json neighbour{{"similarity", found.similarity}, {"part", image.part}, {"path", image.path}};
    if (!image.class_name.empty()) neighbour["class"] = image.class_name;
    entry["neighbours"].push_back(std::move(neighbour));
  }
  return json_text(entry);
}

std::string search_csv(const SimilarityIndex& index, const SearchAnswer& answer) {
  if (!answer.problem.empty())
    return fmt::format("{},,,,,,{}\n", csv_cell(answer.path), csv_cell(answer.problem));
  std::string rows;
  for (std::size_t i = 0; i < answer.found.size(); ++i) {
    const IndexedImage image = index.image(answer.found[i].row);
    rows += fmt::format("{},{},{},{},{},{},\n", csv_cell(answer.path), i + 1, answer.found[i].similarity,
                        csv_cell(image.class_name), csv_cell(image.part), csv_cell(image.path));
  }
  return rows;
}

}  // namespace

void SearchPrinter::print(const SearchAnswer& answer) {
  switch (form_) {
    case SearchForm::lines:
      print_search_lines(index_, answer);
      break;
    case SearchForm::json:
      fmt::print("{}{}", is_first_ ? "[\n" : ",\n", search_json(index_, answer));
      break;
    case SearchForm::csv:
      fmt::print("{}{}", is_first_ ? search_csv_header : "", search_csv(index_, answer));
      break;
  }
  is_first_ = false;
}

void SearchPrinter::finish() {
  if (form_ == SearchForm::json) fmt::print("{}\n", is_first_ ? "[]" : "\n]");
  if (form_ == SearchForm::csv && is_first_) fmt::print("{}", search_csv_header);
}

void SearchPage::add(const SearchAnswer& answer) {
  if (!answer.problem.empty() || shown_ == most_shown) {
    ++left_out_;
    return;
  }
  ++shown_;
  std::vector<GalleryPicture> pictures{{.image = answer.picture, .name = answer.path, .group = "searched for"}};
  for (const FoundImage& found : answer.found) {
    if (std::ssize(pictures) > most_neighbours_shown) break;
    const IndexedImage image = index_.image(found.row);
    pictures.push_back({.image = index_.picture(found.row),
                        .name = image.path,
                        .note = fmt::format("{:.4f}{}{}", found.similarity,
                                            image.class_name.empty() ? "" : ", ", image.class_name),
                        .group = pictures.size() == 1 ? "nearest" : ""});
  }
  body_ += fmt::format("<section class=\"panel\"><h2 class=\"name\">{}</h2>\n{}</section>\n",
                       html_text(answer.path), gallery(pictures));
}

void SearchPage::write(const std::string& path) const {
  Page page;
  page.title = "Similar images";
  page.body = fmt::format("<h1>Similar images</h1>\n<p class=\"lead\">{} searched for in {}, {}.{}</p>\n",
                          counted(shown_, "image"), html_text(index_.folder().string()),
                          counted(index_.rows(), "image"),
                          left_out_ > 0 ? fmt::format(" {} not shown.", left_out_) : "");
  page.body += body_;
  write_page(path, page);
}

}  // namespace kindred
