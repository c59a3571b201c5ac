// The binary files of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html).
//
// A record is the label (in CIFAR-100 the coarse label, then the fine one), followed by 32x32 bytes each of
// red, green and blue. The fine label is the class.
#include <fmt/core.h>
#include <fmt/ranges.h>  // defines: fmt::join
#include <kindred/data/files/file.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <string_view>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

constexpr int side = 32;
constexpr std::size_t plane_bytes = side * side;
constexpr std::size_t image_bytes = 3 * plane_bytes;
constexpr std::size_t max_file_bytes = std::size_t{512} << 20;  // the real files have 31 and 154 MB

struct RecordLayout {
  std::vector<std::string> train, test;
  std::string class_file;
  std::size_t label_bytes;
};

RecordLayout record_layout(int fine_classes) {
  if (fine_classes == 100) return {{"train.bin"}, {"test.bin"}, "fine_label_names.txt", 2};
  return {{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
          {"test_batch.bin"},
          "batches.meta.txt",
          1};
}

bool has_file(const fs::path& dir, const std::string& name) {
  std::error_code ignored;
  return fs::exists(dir / name, ignored);
}

bool holds_any(const fs::path& dir, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return has_file(dir, name); });
}

// One of the two halves is enough. Anybody may call a file test.bin, so the class names must lie beside it.
bool holds_records(const fs::path& dir, const RecordLayout& layout) {
  return holds_any(dir, layout.train) || (holds_any(dir, layout.test) && holds_any(dir, {layout.class_file}));
}

struct CifarRecord {
  int file;           // which file
  std::size_t index;  // record in the file, from 0
};

// Of a set with a part of its training images all missing files are named: an archive was not unpacked to its end.
void check_has_whole_training(const fs::path& dir, const RecordLayout& layout) {
  std::vector<std::string> missing;
  for (const std::string& name : layout.train)
    if (!has_file(dir, name)) missing.push_back(name);
  if (missing.empty() || missing.size() == layout.train.size()) return;
  for (const std::string& name : layout.test)
    if (!has_file(dir, name)) missing.push_back(name);
  if (!has_file(dir, layout.class_file)) missing.push_back(layout.class_file);
  fail(ExitCode::data, "{}: {} missing: {}; unpack the CIFAR archive again", dir.string(),
       missing.size() == 1 ? "a file is" : "files are", fmt::join(missing, ", "));
}

class CifarSource : public SampleSource {
 public:
  std::vector<std::string> files;    // paths
  std::vector<CifarRecord> records;  // [samples]
  std::vector<std::uint8_t> planes;  // [samples, 3, 32, 32]

  std::string name(std::int64_t i) const override {
    const CifarRecord& record = records[static_cast<std::size_t>(i)];
    return fmt::format("{}, record {}", files[static_cast<std::size_t>(record.file)], record.index);
  }

  void load(std::int64_t i, Decoded& result) const override {
    result.outcome = Outcome::ok;
    result.reason.clear();
    result.image.resize(side, side);
    result.top = result.left = 0;
    result.picture_height = result.picture_width = side;
    const std::uint8_t* in = planes.data() + static_cast<std::size_t>(i) * image_bytes;
    std::uint8_t* out = result.image.pixels.data();
    for (std::size_t pixel = 0; pixel < plane_bytes; ++pixel) {
      for (std::size_t channel = 0; channel < 3; ++channel)
        out[3 * pixel + channel] = in[channel * plane_bytes + pixel];
    }
  }
};

std::vector<std::uint8_t> read_or_fail(const fs::path& path) {
  FileContent file = read_file(path.string(), max_file_bytes);
  check(file.ok(), ExitCode::data, "{}: {}; unpack the CIFAR archive again", path.string(), file.reason);
  return std::move(file.bytes);
}

}  // namespace

// The original file has blank lines at its end.
std::vector<std::string> parse_cifar_classes(std::span<const std::uint8_t> bytes, int expected,
                                             const std::string& path) {
  std::vector<std::string> names(1);
  for (const std::uint8_t byte : bytes) {
    if (byte == '\r') continue;
    if (byte != '\n') {
      names.back() += static_cast<char>(byte);
    } else if (!names.back().empty()) {
      names.emplace_back();
    }
  }
  if (names.back().empty()) names.pop_back();
  check(static_cast<int>(names.size()) == expected, ExitCode::data,
        "{}: {} class names, {} expected; unpack the CIFAR archive again", path, names.size(), expected);
  return names;
}

std::vector<std::int32_t> parse_cifar_labels(std::span<const std::uint8_t> bytes, int fine_classes,
                                             const std::string& path) {
  const std::size_t label_bytes = record_layout(fine_classes).label_bytes,
                    record_bytes = label_bytes + image_bytes;
  check(!bytes.empty() && bytes.size() % record_bytes == 0, ExitCode::data,
        "{}: {} bytes are not a whole number of {}-byte CIFAR-{} records; unpack the archive again", path,
        bytes.size(), record_bytes, fine_classes);
  std::vector<std::int32_t> labels;
  for (std::size_t at = 0; at < bytes.size(); at += record_bytes) {
    const int label = bytes[at + label_bytes - 1];
    check(label < fine_classes, ExitCode::data, "{}: record {} has label {}, {} is the largest allowed", path,
          at / record_bytes, label, fine_classes - 1);
    labels.push_back(label);
  }
  return labels;
}

std::optional<CifarLocation> find_cifar_binary(const fs::path& dir) {
  for (const fs::path& folder : {dir, dir / "cifar-10-batches-bin"})
    if (holds_records(folder, record_layout(10))) return CifarLocation{folder, 10};
  for (const fs::path& folder : {dir, dir / "cifar-100-binary"})
    if (holds_records(folder, record_layout(100))) return CifarLocation{folder, 100};
  return std::nullopt;
}

std::string place_of_cifar_tests(const CifarLocation& location) {
  return fmt::format("give it {}", (location.dir / record_layout(location.fine_classes).test.front()).string());
}

std::optional<Dataset> open_cifar_binary(const OpenRequest& request, const CifarLocation& location) {
  const RecordLayout layout = record_layout(location.fine_classes);
  const bool train = request.split == Split::train;
  const bool has_part = request.evaluate_on != Split::val &&  // CIFAR has images for training and for tests
                        holds_any(location.dir, layout.test);
  if (train || !has_part) check_has_whole_training(location.dir, layout);
  if (!train && !has_part) return std::nullopt;
  check(!train || holds_any(location.dir, layout.train), ExitCode::data,
        "{}: there are no images to train on, only those for tests; unpack the CIFAR archive again",
        location.dir.string());

  auto source = std::make_shared<CifarSource>();
  std::vector<std::int32_t> labels;
  const std::size_t record_bytes = layout.label_bytes + image_bytes;
  for (const std::string& name : train ? layout.train : layout.test) {
    const fs::path path = location.dir / name;
    const std::vector<std::uint8_t> bytes = read_or_fail(path);
    const std::vector<std::int32_t> found = parse_cifar_labels(bytes, location.fine_classes, path.string());
    labels.insert(labels.end(), found.begin(), found.end());
    source->files.push_back(path.string());
    for (std::size_t at = 0; at < bytes.size(); at += record_bytes) {
      source->records.push_back({static_cast<int>(source->files.size()) - 1, at / record_bytes});
      const auto pixels = bytes.begin() + static_cast<std::ptrdiff_t>(at + layout.label_bytes);
      source->planes.insert(source->planes.end(), pixels, pixels + static_cast<std::ptrdiff_t>(image_bytes));
    }
  }
  const fs::path class_file = location.dir / layout.class_file;
  std::vector<std::string> names =
      parse_cifar_classes(read_or_fail(class_file), location.fine_classes, class_file.string());
  Dataset set(std::move(names), std::move(labels), std::move(source), true);
  set.set_origin({location.dir.string(), train ? "train" : "test"});
  return set;
}

}  // namespace kindred::detail
