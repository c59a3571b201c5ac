#include <fcntl.h>  // defines: open and its flags
#include <kindred/data/files/byte_reader.h>
#include <kindred/data/files/file_lock.h>
#include <kindred/data/images/decoding_memory.h>
#include <kindred/data/images/exif.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/images/shrink.h>
#include <kindred/data/sets/name_table.h>
#include <kindred/data/sets/pack/pack.h>
#include <kindred/data/sets/pack/pack_format.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>
#include <unistd.h>  // defines: ftruncate, lseek

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t write_buffer = std::size_t{1} << 20;
constexpr std::int64_t images_at_once = 64;  // read and shrunk on all cores before they are written

struct RecordToWrite {
  RecordKind kind = RecordKind::encoded;
  std::vector<std::uint8_t> data;
  bool shrunk = false;
  bool oriented = false;  // shrunk, and its EXIF orientation is not upright
};

std::vector<std::uint8_t> bytes_of_pixels(const Image& image) {
  const std::uint32_t size[2] = {static_cast<std::uint32_t>(image.height),
                                 static_cast<std::uint32_t>(image.width)};
  std::vector<std::uint8_t> data(sizeof(size) + image.pixels.size());
  std::memcpy(data.data(), size, sizeof(size));
  std::memcpy(data.data() + sizeof(size), image.pixels.data(), image.pixels.size());
  return data;
}

RecordToWrite missing_image(const std::string& reason) {
  return {RecordKind::missing, std::vector<std::uint8_t>(reason.begin(), reason.end()), false};
}

RecordToWrite make_record(const Dataset& set, std::int64_t i, const PackOptions& options) {
  std::vector<std::uint8_t> scratch;
  const std::optional<Encoded> file = set.source().encoded(i, scratch);
  if (!file) {
    const Decoded decoded = set.load(i);
    if (decoded.outcome == Outcome::rejected) return missing_image(decoded.reason);
    return {RecordKind::pixels, bytes_of_pixels(decoded.image), false};
  }
  if (!file->ok()) return missing_image(file->reason);
  if (options.max_side > 0) {
    const ImageHeader header = probe_image(file->bytes, set.source().limits());
    if (header.ok() && std::max(header.height, header.width) > options.max_side) {
      const Decoded decoded = decode_image(file->bytes, set.source().limits());
      // An image that is not ok is stored unchanged. Then training reports the same for the pack as for the
      // folder.
      if (decoded.outcome == Outcome::ok)
        return {RecordKind::encoded, encode_jpeg(shrink_to(decoded.image, options.max_side), options.quality),
                true, exif_orientation(file->bytes, header.format) != upright};
    }
  }
  return {RecordKind::encoded, std::vector<std::uint8_t>(file->bytes.begin(), file->bytes.end()), false};
}

bool begins_with(std::span<const std::uint8_t> head, const detail::Magic& magic) {
  return std::equal(magic.begin(), magic.end(), head.begin());
}

bool same_fingerprint(std::span<const std::uint8_t> head /*[header_bytes]*/, std::uint64_t fingerprint) {
  return std::memcmp(head.data() + detail::fingerprint_offset, &fingerprint, sizeof(fingerprint)) == 0;
}

// The file while it is being written. Every failure is an Error(io).
class PartialFile {
 public:
  PartialFile(std::string path, std::uint64_t fingerprint, FileOperations& files)
      : path_(std::move(path)), files_(files) {
    file_ = files_.open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file_ < 0) fail_with_errno("cannot be written");
    // Some network file systems have no locks. There the user is responsible.
    check(try_to_lock(file_) != LockOutcome::taken, ExitCode::usage, "{}: another pack_dataset is writing it",
          path_);
    header_.magic = detail::partial_magic;
    header_.fingerprint = fingerprint;
  }
  ~PartialFile() {
    if (file_ >= 0) files_.close(file_);
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  std::uint64_t size() const { return size_; }  // bytes passed to it, whether written to disk or not

  // Keeps the complete records, at most `most` of them, and cuts off the rest. Writes the header if the file is
  // new. Checking a large file takes minutes, so `progress` is called after every record.
  std::vector<PackRecord> resume(std::uint64_t most, const std::function<void(std::int64_t done)>& progress) {
    std::vector<PackRecord> records;
    {
      const FileReader reader(path_);
      check(reader.reason().empty(), ExitCode::io, "{}: {}", path_, reader.reason());
      std::vector<std::uint8_t> head(detail::header_bytes);
      size_ = detail::header_bytes;
      if (reader.read(0, head).empty()) {
        // A pack that was completed but not renamed is checked again.
        const bool is_pack = begins_with(head, detail::partial_magic) || begins_with(head, detail::pack_magic);
        check(is_pack && same_fingerprint(head, header_.fingerprint), ExitCode::usage,
              "{}: belongs to a pack of other images or settings; give the same arguments to continue, or "
              "remove it",
              path_);
        while (records.size() < most && read_record(reader, records))
          if (progress) progress(static_cast<std::int64_t>(records.size()));
      }
    }
    if (::ftruncate(file_, static_cast<off_t>(records.empty() ? 0 : size_)) != 0)
      fail_with_errno("cannot be cut");
    if (::lseek(file_, 0, SEEK_END) < 0) fail_with_errno("cannot be written");
    if (records.empty()) {
      size_ = 0;
      append(detail::encode_header(header_).bytes());
    }
    return records;
  }

  PackRecord append_record(std::int32_t label, const RecordToWrite& record, std::uint64_t number) {
    PackRecord entry;
    entry.label = label;
    entry.kind = record.kind;
    entry.bytes = static_cast<std::uint32_t>(record.data.size());
    entry.hash = record_hash(record.data, number);
    detail::PackBytes frame;
    frame.number(entry.hash);
    frame.number(entry.bytes);
    frame.number(static_cast<std::uint32_t>(entry.kind));
    append(frame.bytes());
    entry.offset = size_;
    append(record.data);
    return entry;
  }

  // Writes the index, brings everything to the disk, and only then marks the file as a pack. An existing file
  // with the name `out` is replaced in one step.
  void finish(const detail::PackBytes& index, std::uint32_t version, const fs::path& out) {
    header_.version = version;
    header_.index_offset = size_;
    header_.index_bytes = index.size();
    header_.index_hash = detail::hash_of(index.bytes());
    append(index.bytes());
    header_.file_bytes = size_;
    header_.magic = detail::pack_magic;
    flush();
    sync();
    if (::lseek(file_, 0, SEEK_SET) < 0) fail_with_errno("cannot be written");
    append(detail::encode_header(header_).bytes());
    flush();
    sync();
    if (files_.close(std::exchange(file_, -1)) != 0 && errno != EINTR) fail_with_errno("cannot be written");
    if (files_.rename(path_.c_str(), out.c_str()) != 0) fail_with_errno("cannot be renamed");
    sync_folder_of(out, files_);
  }

  void flush() {
    const auto* next = reinterpret_cast<const std::uint8_t*>(buffer_.data());
    for (std::size_t left = buffer_.size(); left > 0;) {
      const ssize_t written = files_.write(file_, next, left);
      if (written < 0 && errno == EINTR) continue;
      if (written == 0) errno = ENOSPC;
      if (written <= 0) fail_with_errno("cannot be written");
      next += written;
      left -= static_cast<std::size_t>(written);
    }
    buffer_.clear();
  }

 private:
  [[noreturn]] void fail_with_errno(const char* what) const {
    const int error = errno;
    fail(ExitCode::io, "{} {}: {}; {}, then run pack_dataset again: it continues", path_, what,
         std::generic_category().message(error), what_to_do_about(error));
  }

  void sync() {
    if (files_.fsync(file_) != 0 && errno != EINVAL && errno != ENOTSUP)
      fail_with_errno("cannot be brought to the disk");
  }

  void append(std::span<const std::uint8_t> bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    size_ += bytes.size();
    if (buffer_.size() >= write_buffer) flush();
  }

  bool read_record(const FileReader& reader, std::vector<PackRecord>& records) {
    std::vector<std::uint8_t> frame(detail::frame_bytes), data;
    if (!reader.read(size_, frame).empty()) return false;
    PackRecord record;
    std::memcpy(&record.hash, frame.data(), 8);
    std::memcpy(&record.bytes, frame.data() + 8, 4);
    std::memcpy(&record.kind, frame.data() + 12, 4);
    record.offset = size_ + detail::frame_bytes;
    if (static_cast<std::uint32_t>(record.kind) > 2 || record.offset + record.bytes > reader.size())
      return false;
    data.resize(record.bytes);
    if (!reader.read(record.offset, data).empty() || record_hash(data, records.size()) != record.hash)
      return false;
    size_ = record.offset + record.bytes;
    records.push_back(record);
    return true;
  }

  std::string path_;
  FileOperations& files_;
  int file_ = -1;
  std::uint64_t size_ = 0;
  detail::PackHeader header_;
  std::vector<std::uint8_t> buffer_;
};

void append_table(detail::PackBytes& out, const NameTable& names) {
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < names.size(); ++i) out.number(end += names[i].size());
  for (std::size_t i = 0; i < names.size(); ++i) out.text(names[i]);
}

struct Part {
  const Dataset& set;
  NameTable names;  // without the path of the data set
};

Part part_of(const Dataset& set, const std::string& prefix) {
  Part part{set, {}};
  for (std::int64_t i = 0; i < set.size(); ++i) {
    const std::string name = set.name(i);
    const bool inside = !prefix.empty() && name.starts_with(prefix + "/");
    part.names.add(inside ? std::string_view(name).substr(prefix.size() + 1) : std::string_view(name));
  }
  return part;
}

NameTable class_table(const Dataset& set) {
  NameTable names;
  for (const std::string& name : set.class_names()) names.add(name);
  return names;
}

// Identifies the content of the pack without reading the images: the same call gives the same value.
std::uint64_t fingerprint_of(const std::vector<Part>& parts, const PackOptions& options) {
  detail::PackBytes all;
  all.number(static_cast<std::int32_t>(options.max_side));
  all.number(static_cast<std::int32_t>(options.max_side > 0 ? options.quality : 0));
  append_table(all, class_table(parts.front().set));
  if (options.max_side > 0 && parts.front().set.source().limits().exif == ExifMode::apply)
    all.number(static_cast<std::uint32_t>(ExifMode::apply));
  if (parts.size() > 2) all.number(static_cast<std::uint32_t>(parts.size()));  // the second one may be empty
  for (const Part& part : parts) {
    append_table(all, part.names);
    for (const std::int32_t label : part.set.labels()) all.number(label);
  }
  return detail::hash_of(all.bytes());
}

detail::PackBytes index_of(const std::vector<Part>& parts, const std::vector<PackRecord>& records) {
  detail::PackBytes index;
  index.number(static_cast<std::uint32_t>(parts.front().set.classes()));
  index.number(static_cast<std::uint32_t>(parts.size()));
  append_table(index, class_table(parts.front().set));
  std::size_t at = 0;
  for (const Part& part : parts) {
    index.number(static_cast<std::uint64_t>(part.set.size()));
    for (std::int64_t i = 0; i < part.set.size(); ++i, ++at) {
      const PackRecord& record = records[at];
      index.number(part.set.label(i));
      index.number(record.offset);
      index.number(record.hash);
      index.number(record.bytes);
      index.number(static_cast<std::uint32_t>(record.kind));
    }
    append_table(index, part.names);
  }
  if (const auto& held = parts.front().set.origin().held_out; held) {
    for (const auto& [fraction, seed] : held->before) {
      index.number(fraction);
      index.number(seed);
    }
    index.number(held->fraction);
    index.number(held->seed);
  }
  return index;
}

// A pack that has nothing to say about held-out images is one that earlier versions read too.
std::uint32_t version_of(const std::vector<Part>& parts) {
  return parts.front().set.origin().held_out ? detail::pack_version_with_held_out : detail::pack_version;
}

// Returns true if `out` holds exactly this pack already. Throws Error(usage) if it holds something else.
bool exists_already(const std::string& out, std::uint64_t fingerprint, bool overwrite) {
  std::error_code ignored;
  if (!fs::exists(out, ignored) || overwrite) return false;
  check(!fs::is_directory(out, ignored), ExitCode::usage, "{}: a folder; give the name of a file", out);
  const FileReader file(out);
  std::vector<std::uint8_t> head(detail::header_bytes);
  const bool matches = file.reason().empty() && file.read(0, head).empty() &&
                       begins_with(head, detail::pack_magic) && same_fingerprint(head, fingerprint);
  check(matches, ExitCode::usage, Cause::exists, "{}: exists and is not a pack of these images", out);
  return true;
}

}  // namespace

PackSummary write_pack(const Dataset& train, const std::optional<Dataset>& evaluation,
                       const std::string& prefix, const std::string& out, const PackOptions& options,
                       const std::function<void(std::int64_t done)>& progress, FileOperations& files) {
  const std::optional<Dataset> none;
  const bool is_test = evaluation && evaluation->origin().part == "test";
  return write_pack(PackSets{train, is_test ? none : evaluation, is_test ? evaluation : none}, prefix, out,
                    options, progress, files);
}

PackSummary write_pack(const PackSets& sets, const std::string& prefix, const std::string& out,
                       const PackOptions& options, const std::function<void(std::int64_t done)>& progress,
                       FileOperations& files) {
  const Dataset no_images = subset(sets.train, {});
  std::vector<Part> parts{part_of(sets.train, prefix)};
  if (sets.validation || sets.test)
    parts.push_back(part_of(sets.validation ? *sets.validation : no_images, prefix));
  if (sets.test) parts.push_back(part_of(*sets.test, prefix));
  PackSummary summary;
  for (const Part& part : parts) summary.images += part.set.size();
  const std::uint64_t fingerprint = fingerprint_of(parts, options);
  if (exists_already(out, fingerprint, options.overwrite)) {
    summary.was_there = true;
    summary.bytes = FileReader(out).size();
    return summary;
  }

  PartialFile partial(out + ".partial", fingerprint, files);
  std::vector<PackRecord> records = partial.resume(static_cast<std::uint64_t>(summary.images), progress);
  summary.resumed = static_cast<std::int64_t>(records.size());
  for (std::size_t i = 0; i < records.size(); ++i)
    if (records[i].kind == RecordKind::missing)
      summary.missing.push_back(fmt::format("record {}: could not be read when the pack was begun", i));
  std::int64_t first = 0;  // number of the first record of the part
  for (const Part& part : parts) {
    for (std::int64_t begin = static_cast<std::int64_t>(records.size()) - first; begin < part.set.size();) {
      const std::int64_t count = std::min(images_at_once, part.set.size() - begin);
      std::vector<RecordToWrite> made(static_cast<std::size_t>(count));
      parallel_for(count, 1, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t i = from; i < to; ++i)
          made[static_cast<std::size_t>(i)] =
              with_memory_for_picture([&] { return part.set.name(begin + i); },
                                      [&] { return make_record(part.set, begin + i, options); });
      });
      for (std::int64_t i = 0; i < count; ++i) {
        const RecordToWrite& record = made[static_cast<std::size_t>(i)];
        records.push_back(partial.append_record(part.set.label(begin + i), record, records.size()));
        summary.shrunk += record.shrunk;
        summary.oriented += record.oriented;
        if (record.kind == RecordKind::missing)
          summary.missing.push_back(fmt::format("{}: {}", part.set.name(begin + i),
                                                std::string(record.data.begin(), record.data.end())));
      }
      begin += count;
      if (!progress) continue;
      try {
        progress(static_cast<std::int64_t>(records.size()));
      } catch (...) {  // what is packed is kept for the call that continues
        partial.flush();
        throw;
      }
    }
    first += part.set.size();
  }
  partial.finish(index_of(parts, records), version_of(parts), out);
  summary.bytes = FileReader(out).size();
  return summary;
}

}  // namespace kindred
