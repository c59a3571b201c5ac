#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/answers.h>
#include <kindred/apps/evaluation/csv_text.h>
#include <kindred/engine/files/json_text.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <cstddef>

namespace kindred {
namespace {

void print_answer_line(const std::string& path, const Answer& answer) {
  std::string line = path + ":";
  if (!answer.problem.empty()) line += " cannot be read: " + answer.problem;
  for (const auto& [name, probability] : answer.predictions)
    line += fmt::format("{} {} {:.4f}", line.ends_with(':') ? "" : ",", name, probability);
  fmt::print("{}\n", one_line(line));  // a name may hold a line break
}

// An entry of the list, at its depth in it.
std::string answer_json(const std::string& path, const Answer& answer) {
  nlohmann::json entry{{"path", path}};
  if (!answer.problem.empty()) entry["error"] = answer.problem;
  for (const auto& [name, probability] : answer.predictions)
    entry["predictions"].push_back({{"class", name}, {"probability", probability}});
  std::string indented = "  ";
  for (const char c : json_text(entry, 2)) {
    indented += c;
    if (c == '\n') indented += "  ";
  }
  return indented;
}

std::string csv_header(std::int64_t most) {
  std::string line = "path";
  for (std::int64_t i = 1; i <= most; ++i) line += fmt::format(",class{},probability{}", i, i);
  return line + ",error";
}

std::string csv_row(const std::string& path, const Answer& answer, std::int64_t most) {
  std::string line = csv_cell(path);
  for (std::int64_t i = 0; i < most; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (at < answer.predictions.size())
      line += fmt::format(",{},{}", csv_cell(answer.predictions[at].first), answer.predictions[at].second);
    else
      line += ",,";
  }
  return line + "," + csv_cell(answer.problem);
}

}  // namespace

AnswerPrinter::AnswerPrinter(AnswerForm form, std::int64_t most) : form_(form), most_(most) {}

void AnswerPrinter::print(const std::string& path, const Answer& answer) {
  switch (form_) {
    case AnswerForm::lines:
      print_answer_line(path, answer);
      break;
    case AnswerForm::json:
      fmt::print("{}{}", is_first_ ? "[\n" : ",\n", answer_json(path, answer));
      break;
    case AnswerForm::csv:
      if (is_first_) fmt::print("{}\n", csv_header(most_));
      fmt::print("{}\n", csv_row(path, answer, most_));
      break;
  }
  is_first_ = false;
}

void AnswerPrinter::finish() {
  if (form_ == AnswerForm::json) fmt::print("{}\n", is_first_ ? "[]" : "\n]");
  if (form_ == AnswerForm::csv && is_first_) fmt::print("{}\n", csv_header(most_));
}

}  // namespace kindred
