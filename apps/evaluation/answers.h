// What classify prints about each image: lines for people, JSON or CSV for programs. Nothing is kept, so memory does not
// grow with the number of images.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

struct Answer {
  std::string problem{};                                      // empty if the picture could be read
  std::vector<std::pair<std::string, double>> predictions{};  // class and probability, best first
};

enum class AnswerForm : std::uint8_t { lines, json, csv };

class AnswerPrinter {
 public:
  // Each answer names at most `most` classes. Prints to standard output.
  //   lines  PATH: cat 0.9000, dog 0.1000
  //   json   a list of {"path", "predictions": [{"class", "probability"}, ...]}, or {"path", "error"}
  //   csv    path,class1,probability1,class2,probability2 ... error; cells without a value are empty
  AnswerPrinter(AnswerForm form, std::int64_t most);

  void print(const std::string& path, const Answer& answer);
  void finish();  // to be called after the last answer

 private:
  AnswerForm form_;
  std::int64_t most_;
  bool is_first_ = true;
};

}  // namespace kindred
