#include <fmt/core.h>
#include <kindred/data/files/file.h>
#include <kindred/data/files/listing_error.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/sets/toy.h>
#include <kindred/data/sets/toy_set.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/files/make_folders.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr int quality = 90;
constexpr const char* marker_name = "toy_dataset.txt";
constexpr const char* unfinished_name = "toy_dataset.unfinished.txt";  // the marker until the set is complete

std::string settings(const ToySetOptions& o) {
  return fmt::format("kindred toy data set, version 1: classes {}, per class {}, image size {}, seed {}\n",
                     o.classes, o.per_class, o.image_size, o.seed);
}

void validate(const ToySetOptions& o) {
  check(o.classes >= 2 && o.classes <= max_toy_classes, ExitCode::usage, "classes must be 2 to {}, not {}",
        max_toy_classes, o.classes);
  check(o.per_class >= 1 && o.per_class <= 100000, ExitCode::usage,
        "images of a class must be 1 to 100000, not {}", o.per_class);
  check(o.image_size >= 16 && o.image_size <= 1024, ExitCode::usage,
        "the image size must be 16 to 1024 pixels, not {}", o.image_size);
}

[[noreturn]] void fail_writing(const fs::path& path, int error) {
  fail(ExitCode::io, "{}: cannot be written: {}; {}", path.string(), std::generic_category().message(error),
       what_to_do_about(error));
}

// A file that has its name is complete, because a later call would keep it: it is written under another name, which
// the next attempt uses again.
void write_file(const fs::path& path, std::span<const std::uint8_t> bytes) {
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const fs::path temporary = path.parent_path() / fmt::format(".{}.tmp", path.filename().string());
  std::unique_ptr<std::FILE, Closer> file(std::fopen(temporary.c_str(), "wb"));
  bool written = file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
  if (file) written = std::fclose(file.release()) == 0 && written;  // a full disk may be noticed only here
  written = written && std::rename(temporary.c_str(), path.c_str()) == 0;
  if (!written) fail_writing(path, errno);
}

void make_folder(const fs::path& folder) {
  make_folders(folder.string(), folder);
}

fs::path image_path(const fs::path& split, int label, int i) {
  return split / toy_class_name(label) / fmt::format("{:05}.jpg", i);
}

void draw_split(const fs::path& split, const ToySetOptions& o, int per_class, std::uint32_t split_key,
                const std::function<void()>& before_image) {
  for (int label = 0; label < o.classes; ++label) {
    make_folder(split / toy_class_name(label));
    for (int i = 0; i < per_class; ++i) {
      const fs::path path = image_path(split, label, i);
      if (std::error_code ignored; fs::is_regular_file(path, ignored)) continue;  // drawn by an earlier call
      if (before_image) before_image();
      RandomStream random(o.seed, Purpose::toy_data, split_key, static_cast<std::uint32_t>(i),
                          static_cast<std::uint32_t>(label));
      write_file(path, encode_jpeg(draw_toy_image(label, o.image_size, random), quality));
    }
  }
}

bool split_is_complete(const fs::path& split, const ToySetOptions& o, int per_class) {
  std::error_code ignored;
  for (int label = 0; label < o.classes; ++label) {
    for (int i = 0; i < per_class; ++i) {
      if (!fs::is_regular_file(image_path(split, label, i), ignored)) return false;
    }
  }
  return true;
}

// Whether this file marks a set with these settings.
bool marks(const fs::path& marker, const ToySetOptions& o) {
  const FileContent content = read_file(marker.string(), 4096);
  const std::string wanted = settings(o);
  return content.ok() && std::equal(wanted.begin(), wanted.end(), content.bytes.begin(), content.bytes.end());
}

// Returns true if `out` holds exactly this set, and false if it holds nothing or a part of this set. Anything else in
// it is an error.
bool is_drawn(const fs::path& out, const ToySetOptions& o) {
  std::error_code error;
  if (!fs::exists(out, error)) return false;
  check(fs::is_directory(out, error), ExitCode::usage, "{}: exists and is not a folder; give another name",
        out.string());
  const bool empty = fs::is_empty(out, error);
  if (is_own_lack(error)) check_listed(out.string(), error);
  check(!error, ExitCode::io, "{}: cannot be listed: {}", out.string(), error.message());
  if (empty || marks(out / unfinished_name, o)) return false;
  const bool complete = marks(out / marker_name, o) && split_is_complete(out / "train", o, o.per_class) &&
                        split_is_complete(out / "val", o, toy_validation_images(o));
  check(complete, ExitCode::usage,
        "{}: exists and does not hold a complete toy set of these settings; remove it or give another folder",
        out.string());
  return true;
}

}  // namespace

int toy_validation_images(const ToySetOptions& options) {
  return std::max(1, options.per_class / 4);
}

bool make_toy_set(const std::string& out, const ToySetOptions& options,
                  const std::function<void()>& before_image) {
  validate(options);
  const fs::path folder(out);
  if (is_drawn(folder, options)) return false;
  make_folder(folder);
  const std::string text = settings(options);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  write_file(folder / unfinished_name, {bytes, text.size()});
  draw_split(folder / "train", options, options.per_class, 0, before_image);
  draw_split(folder / "val", options, toy_validation_images(options), 1, before_image);
  std::error_code error;
  fs::rename(folder / unfinished_name, folder / marker_name, error);
  if (error) fail_writing(folder / marker_name, error.value());
  return true;
}

}  // namespace kindred
