// The options of `pretrain` that have a single value, as a table. A row defines the flag, its help, its
// default, which values it accepts, whether a preset may set it, and the entry in config.json. A new option of
// this kind needs a member of PretrainOptions, one of GivenOptions if a preset may set it, and a row in
// option_rows.cpp or in the folder rows/. option_relations.h checks what depends on several options.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>

#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace kindred {

template <typename T>
struct OptionRow {
  // The form in which flags, presets and config.json give a value: numbers as they are, all else as text.
  using Written = std::conditional_t<std::is_arithmetic_v<T>, T, std::string>;

  std::string flag;  // in CLI11's format: "-b,--batch-size"
  // In config.json; null if the run does not depend on it. With a new key, runs of earlier versions count as runs
  // with other settings (run/same_run.h). So an option that is off by default says with recorded_if() when it is on.
  const char* key;
  std::string help;
  T PretrainOptions::*value;                                    // the resolved value
  std::optional<Written> GivenOptions::*given = nullptr;        // only if a preset may set it
  std::optional<Written> default_value{};                       // unless it is the member's own
  Written (*default_from)(const PretrainOptions& o) = nullptr;  // or made from options of earlier rows
  bool shows_default = false;                                   // in --help, behind the flag
  T (*parse)(const std::string& text) = nullptr;                // throws Error(usage)
  std::string (*write)(const T& value) = nullptr;               // the reverse, if T is not Written
  const char* expected = nullptr;                               // "0 or more", for --help and the error
  bool (*accepts)(const T& value) =
      nullptr;  // with preset(): of what was given; without it, also of the default

  bool (*is_recorded)(const PretrainOptions& o) = nullptr;  // null: always

  OptionRow(const char* flag_names, const char* config_key, std::string help_text, T PretrainOptions::*member)
      : flag(flag_names), key(config_key), help(std::move(help_text)), value(member) {}

  // For the table: each sets what its name says, and gives the row back.
  OptionRow& preset(std::optional<Written> GivenOptions::*member) {
    given = member;
    return *this;
  }
  OptionRow& otherwise(const Written& written) {
    default_value = written;
    return *this;
  }
  OptionRow& otherwise_from(Written (*make)(const PretrainOptions& o)) {
    default_from = make;
    return *this;
  }
  OptionRow& shown() {
    shows_default = true;
    return *this;
  }
  OptionRow& text(T (*from)(const std::string& text), std::string (*to)(const T& value) = nullptr) {
    parse = from;
    write = to;
    return *this;
  }
  OptionRow& must_be(const char* what, bool (*is_so)(const T& value)) {
    expected = what;
    accepts = is_so;
    return *this;
  }

  // In config.json only of runs for which this is so.
  OptionRow& recorded_if(bool (*is_on)(const PretrainOptions& o)) {
    is_recorded = is_on;
    return *this;
  }

  // The flag's long name, for errors.
  std::string name() const {
    const auto begin = flag.find("--");
    return flag.substr(begin, flag.find(',', begin) - begin);
  }

  T parsed(const Written& written) const {
    if constexpr (std::is_arithmetic_v<T>)
      return written;
    else if constexpr (std::is_same_v<T, std::string>)
      return parse == nullptr ? written : parse(written);
    else
      return parse(written);
  }
  Written written(const T& of_value) const {
    if constexpr (std::is_same_v<T, Written>)
      return of_value;
    else
      return write(of_value);
  }
};

using AnyOptionRow =
    std::variant<OptionRow<std::string>, OptionRow<std::int64_t>, OptionRow<std::uint64_t>, OptionRow<double>,
                 OptionRow<bool>, OptionRow<Stem>, OptionRow<HeadKind>, OptionRow<Precision>,
                 OptionRow<Sampling>, OptionRow<BatchNormScope>, OptionRow<CheckpointInterval>,
                 OptionRow<OnNonFinite>, OptionRow<OptimizerKind>, OptionRow<ResizeMode>, OptionRow<ExifMode>,
                 OptionRow<DType>>;

// In the order of --help.
const std::vector<AnyOptionRow>& option_rows();

// Calls visit(row) for every row.
template <typename Visit>
void for_each_option(const Visit& visit) {
  for (const AnyOptionRow& row : option_rows()) std::visit(visit, row);
}

// The device of a run, or with --gpu the device that a prediction is for. Throws Error(usage) and
// Error(device).
Device device_for(const PretrainOptions& options);

}  // namespace kindred
