#include <kindred/engine/files/safetensors_header.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <set>

namespace kindred {
namespace {

// Far more than any network has, but few enough that a malicious header cannot fill the memory.
constexpr std::size_t most_entries = 200'000;
constexpr std::size_t most_axes = 64;

// All types in the order of the official library, with the bytes of one element.
constexpr std::pair<std::string_view, std::size_t> types[] = {
    {"U64", 8}, {"I64", 8}, {"F64", 8},     {"F32", 4},     {"U32", 4}, {"I32", 4}, {"BF16", 2}, {"F16", 2},
    {"U16", 2}, {"I16", 2}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I8", 1},  {"U8", 1},  {"BOOL", 1}};

constexpr const char* advice = "the file is damaged or was not written by a safetensors library: get it again";

// Processes the JSON event by event. A document tree would silently keep the last of two equal names and would
// use many times the header's size. Anything but the three levels of the format stops the parse.
class HeaderParser : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader header;
  std::string problem;

  bool key(std::string& text) override {
    if (place_ == Place::top) {
      if (!names_.insert(text).second) return stop("it lists {} twice", printable(text));
      if (names_.size() > most_entries) return stop("it lists more than {} tensors", most_entries);
    } else if (place_ == Place::metadata) {
      if (header.metadata.contains(text)) return stop("its metadata has {} twice", printable(text));
      if (header.metadata.size() >= most_entries)
        return stop("it has more than {} metadata entries", most_entries);
      header.metadata[text];
    } else {
      if (text != "dtype" && text != "shape" && text != "data_offsets")
        return stop("{} has the unknown field {}", entry_name(), printable(text));
      if (!fields_.insert(text).second) return stop("{} has {} twice", entry_name(), text);
    }
    key_ = text;
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::outside) return go(Place::top);
    if (place_ != Place::top) return unexpected("an object");
    if (key_ == "__metadata__") return go(Place::metadata);
    header.entries.emplace_back().name = key_;
    fields_.clear();
    offsets_.clear();
    return go(Place::entry);
  }

  bool end_object() override {
    if (place_ == Place::top) return go(Place::outside);
    if (place_ == Place::entry) {
      if (fields_.size() != 3) return stop("{} lacks one of dtype, shape and data_offsets", entry_name());
      if (offsets_.size() != 2) return stop("{} has {} data_offsets, not 2", entry_name(), offsets_.size());
      header.entries.back().begin = offsets_[0];
      header.entries.back().end = offsets_[1];
    }
    return go(Place::top);
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::entry && key_ == "shape") return go(Place::shape);
    if (place_ == Place::entry && key_ == "data_offsets") return go(Place::offsets);
    return unexpected("a list");
  }
  bool end_array() override { return go(Place::entry); }

  bool number_unsigned(std::uint64_t value) override {
    if (place_ == Place::offsets) {
      if (offsets_.size() == 2) return stop("{} has more than 2 data_offsets", entry_name());
      offsets_.push_back(value);
      return true;
    }
    if (place_ != Place::shape) return unexpected("a number");
    std::vector<std::int64_t>& shape = header.entries.back().shape;
    if (shape.size() == most_axes) return stop("{} has more than {} axes", entry_name(), most_axes);
    if (value > INT64_MAX) return stop("{} has an axis of {} elements", entry_name(), value);
    shape.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool string(std::string& text) override {
    if (place_ == Place::metadata) {
      header.metadata[key_] = text;
      return true;
    }
    if (place_ != Place::entry || key_ != "dtype") return unexpected("a text");
    if (safetensors_element_bytes(text) == 0)
      return stop("{} has the unknown element type {}", entry_name(), printable(text));
    header.entries.back().dtype = text;
    return true;
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool number_integer(std::int64_t) override { return unexpected("a negative number"); }
  bool number_float(double, const std::string&) override {
    return unexpected("a number that is not a 64-bit integer");
  }
  bool binary(nlohmann::json::binary_t&) override { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    return stop("its header is not JSON in UTF-8 (at byte {})", position);
  }

 private:
  enum class Place { outside, top, metadata, entry, shape, offsets };

  bool go(Place place) {
    place_ = place;
    return true;
  }
  template <typename... Args>
  bool stop(fmt::format_string<Args...> format, Args&&... args) {
    if (problem.empty()) problem = fmt::format(format, std::forward<Args>(args)...);
    return false;
  }
  bool unexpected(const char* what) {
    return stop("its header holds {} where the format has none, near {}", what, printable(key_));
  }
  std::string entry_name() const { return printable(header.entries.back().name); }

  Place place_ = Place::outside;
  std::string key_;
  std::set<std::string> names_, fields_;
  std::vector<std::uint64_t> offsets_;
};

// Bytes of the entry's elements; nullopt if the number does not fit 64 bits.
std::optional<std::uint64_t> bytes_of_entry(const SafetensorsEntry& entry) {
  std::uint64_t bytes = safetensors_element_bytes(entry.dtype);
  for (const std::int64_t extent : entry.shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) return {};
  return bytes;
}

}  // namespace

std::size_t safetensors_type_order(std::string_view dtype) {
  return static_cast<std::size_t>(
      std::find_if(std::begin(types), std::end(types), [&](const auto& type) { return type.first == dtype; }) -
      types);
}

std::size_t safetensors_element_bytes(std::string_view dtype) {
  const std::size_t order = safetensors_type_order(dtype);
  return order < std::size(types) ? types[order].second : 0;
}

std::string joined(const std::vector<std::int64_t>& extents, const char* separator) {
  std::string text;
  for (const std::int64_t extent : extents) text += (text.empty() ? "" : separator) + std::to_string(extent);
  return text;
}

std::string printable(std::string_view name) {
  constexpr std::size_t most = 80;
  std::string text = "\"";
  for (const char c : name.substr(0, most)) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      text += c;
  }
  return text + (name.size() > most ? "...\"" : "\"");
}

SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view json,
                                           std::uint64_t data_bytes) {
  check(json.starts_with('{'), ExitCode::file, "{}: its header does not start with {{; {}", path, advice);
  // The parser treats a zero byte as the end of the text and would ignore what follows.
  check(json.find('\0') == json.npos, ExitCode::file, "{}: its header has a zero byte in it; {}", path, advice);
  HeaderParser parser;
  const bool parsed = nlohmann::json::sax_parse(json.begin(), json.end(), &parser);
  check(parsed && parser.problem.empty(), ExitCode::file, "{}: {}; {}", path, parser.problem, advice);

  std::vector<SafetensorsEntry>& entries = parser.header.entries;
  for (const SafetensorsEntry& entry : entries) {
    const std::optional<std::uint64_t> bytes = bytes_of_entry(entry);
    check(bytes.has_value(), ExitCode::file, "{}: the shape of {} is impossibly large; {}", path,
          printable(entry.name), advice);
    check(entry.begin <= entry.end && entry.end <= data_bytes, ExitCode::file,
          "{}: {} should lie at bytes {} to {} of the data, which has {}: the file is truncated or damaged; "
          "get it again",
          path, printable(entry.name), entry.begin, entry.end, data_bytes);
    check(*bytes == entry.end - entry.begin, ExitCode::file,
          "{}: {} has {} bytes, its shape and type need {}; {}", path, printable(entry.name),
          entry.end - entry.begin, *bytes, advice);
  }
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t covered = 0;
  for (const SafetensorsEntry& entry : entries) {
    check(entry.begin == covered, ExitCode::file, "{}: the data of {} {} what comes before it; {}", path,
          printable(entry.name), entry.begin < covered ? "overlaps" : "leaves a hole after", advice);
    covered = entry.end;
  }
  check(covered == data_bytes, ExitCode::file, "{}: {} bytes at its end belong to no tensor; {}", path,
        data_bytes - covered, advice);
  return std::move(parser.header);
}

}  // namespace kindred
