// What `similar duplicates`, `outliers` and `mislabeled` look at: the features of an index, of a file of embed, or of a data set
// that they embed themselves; and where what they find goes.
#pragma once

#include <kindred/apps/analysis/image_table.h>
#include <kindred/apps/analysis/neighbours.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/evaluation/encoder_flags.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kindred {

struct FindingTable {
  ImageTable table{};                                // rows of unit length, without thumbnails
  std::string from{};                                // what was given, for messages
  std::function<Image(std::int64_t row)> picture{};  // of a row; empty if there is none
};

struct FindingFlags {
  DataFlags data;  // its path may also be an index, or a file of embed
  EncoderFlags encoder;
  std::string html, csv;
  std::int64_t list = 20;

  // The flags of all three; `listed` is what --list counts: "groups". This object must outlive the parsing.
  void add_to(CommandLine& line, const std::string& listed);
  // Checks the values, and watches for signals. Features that are there already take no flags that choose or embed images.
  // Throws Error(usage).
  void begin(const CommandLine& line);
  // Only images with classes, if `labelled`: a note says so if others are left out. Throws Error(file), Error(data) and
  // Error(usage).
  FindingTable read(bool labelled);

 private:
  bool is_file_of_features() const;
  bool is_index() const;
};

// The nearest others of each row, with its progress. `each` becomes smaller in a table of few rows. Throws Error(data) for a
// single image; ends with Error(interrupted) after a signal.
Neighbours others_of(const FindingTable& found, std::int64_t each);

// "cat", or "" of images without classes; "train", or "" if all are of one part.
std::string class_in(const ImageTable& table, std::int64_t row);
std::string part_in(const ImageTable& table, std::int64_t row);
// "train  cat  set/train/cat/17.jpg", on one line; with "-" for the class of an image that has none, where others have one.
std::string line_in(const ImageTable& table, std::int64_t row);
// "train, cat", what stands below a picture.
std::string note_in(const ImageTable& table, std::int64_t row);

// Writes a table of text in one step. Throws Error(io).
void write_csv(const std::string& path, const std::string& text);
// Writes a page: its title, a sentence, and the sections.
void write_findings_page(const std::string& path, const std::string& title, const std::string& lead,
                         const std::string& sections);

}  // namespace kindred
