#include <kindred/data/files/byte_reader.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/name_table.h>
#include <kindred/data/sets/pack/pack.h>
#include <kindred/data/sets/pack/pack_format.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>
#include <sys/mman.h>  // defines: mmap, munmap, madvise
#include <sys/stat.h>  // defines: fstat
#include <unistd.h>    // defines: sysconf

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <system_error>
#include <utility>

namespace kindred {

static_assert(std::endian::native == std::endian::little, "packs are read as they lie in memory");

namespace {

namespace fs = std::filesystem;

[[noreturn]] void damaged_pack(const std::string& path, const std::string& what) {
  fail(ExitCode::data, "{}: {}; the pack is damaged: make it again with pack_dataset", path, what);
}

// Reads numbers from the front of a span.
class Cursor {
 public:
  Cursor(std::span<const std::uint8_t> bytes, const std::string& path) : rest_(bytes), path_(path) {}

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  // Returns `count` if that many things of at least `bytes` each fit into the rest. To be called before
  // anything is allocated.
  std::size_t count(std::uint64_t count, std::size_t bytes) const {
    if (count > rest_.size() / bytes) damaged_pack(path_, "its index has more entries than data");
    return static_cast<std::size_t>(count);
  }

  std::vector<std::string> table(std::size_t size) {
    const std::span<const std::uint8_t> ends = take(count(size, 8) * 8);
    std::vector<std::string> names(size);
    std::uint64_t begin = 0;
    for (std::size_t i = 0; i < size; ++i) {
      std::uint64_t end;
      std::memcpy(&end, ends.data() + 8 * i, 8);
      if (end < begin || end - begin > rest_.size())
        damaged_pack(path_, "its index has a name that is out of place");
      const auto text = take(static_cast<std::size_t>(end - begin));
      names[i].assign(text.begin(), text.end());
      begin = end;
    }
    return names;
  }

  bool empty() const { return rest_.empty(); }

 private:
  std::span<const std::uint8_t> take(std::size_t bytes) {
    if (bytes > rest_.size()) damaged_pack(path_, "its index ends too early");
    const auto taken = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return taken;
  }

  std::span<const std::uint8_t> rest_;
  const std::string& path_;
};

detail::PackHeader parse_header(std::span<const std::uint8_t> file, const std::string& path) {
  using namespace detail;
  if (file.size() < header_bytes) damaged_pack(path, fmt::format("it was cut to {} bytes", file.size()));
  Cursor cursor(file.subspan(8, header_bytes - 8), path);
  PackHeader header;
  std::copy_n(file.begin(), header.magic.size(), header.magic.begin());
  check(header.magic == pack_magic, ExitCode::data, "{}: not a pack", path);
  header.version = cursor.number<std::uint32_t>();
  cursor.number<std::uint32_t>();
  for (std::uint64_t* value :
       {&header.file_bytes, &header.index_offset, &header.index_bytes, &header.index_hash, &header.fingerprint})
    *value = cursor.number<std::uint64_t>();
  if (cursor.number<std::uint64_t>() != hash_of(file.first(header_bytes - 8)))
    damaged_pack(path, "its header differs from its checksum");
  check(header.version == pack_version || header.version == pack_version_with_held_out, ExitCode::data,
        "{}: a pack of version {}; this program reads versions {} and {}", path, header.version, pack_version,
        pack_version_with_held_out);
  if (file.size() != header.file_bytes)
    damaged_pack(path, fmt::format("it has {} bytes and was written with {}", file.size(), header.file_bytes));
  if (header.index_offset < header_bytes || header.index_offset > file.size() ||
      header.index_bytes != file.size() - header.index_offset)
    damaged_pack(path, "its index is out of place");
  return header;
}

PackSplit parse_split(Cursor& cursor, std::uint64_t index_offset, std::size_t classes,
                      const std::string& path) {
  PackSplit split;
  const std::size_t samples = cursor.count(cursor.number<std::uint64_t>(), detail::entry_bytes);
  split.records.resize(samples);
  for (PackRecord& record : split.records) {
    record.label = cursor.number<std::int32_t>();
    record.offset = cursor.number<std::uint64_t>();
    record.hash = cursor.number<std::uint64_t>();
    record.bytes = cursor.number<std::uint32_t>();
    const auto kind = cursor.number<std::uint32_t>();
    record.kind = static_cast<RecordKind>(kind);
    const bool placed = record.offset >= detail::header_bytes && record.offset <= index_offset &&
                        record.bytes <= index_offset - record.offset;
    if (!placed || kind > 2 || record.label < 0 || static_cast<std::size_t>(record.label) >= classes)
      damaged_pack(path, "its index has an impossible record");
  }
  split.names = cursor.table(samples);
  return split;
}

// The rest of the index.
HeldOutShare parse_held_out_share(Cursor& cursor, const std::string& path) {
  for (HeldOutShare held;;) {
    held.fraction = cursor.number<double>();
    held.seed = cursor.number<std::uint64_t>();
    if (!(held.fraction > 0 && held.fraction < 1))
      damaged_pack(path, "its index has an impossible share of held-out images");
    if (cursor.empty()) return held;
    held.before.emplace_back(held.fraction, held.seed);
  }
}

}  // namespace

std::uint64_t record_hash(std::span<const std::uint8_t> data, std::uint64_t number) {
  return detail::hash_of(data, number);
}

PackContents parse_pack(std::span<const std::uint8_t> file, const std::string& path) {
  const detail::PackHeader header = parse_header(file, path);
  const auto index = file.subspan(static_cast<std::size_t>(header.index_offset));
  if (detail::hash_of(index) != header.index_hash) damaged_pack(path, "its index differs from its checksum");
  PackContents contents;
  contents.fingerprint = header.fingerprint;
  Cursor cursor(index, path);
  const auto classes = cursor.number<std::uint32_t>(), splits = cursor.number<std::uint32_t>();
  if (splits < 1 || splits > 3) damaged_pack(path, fmt::format("its index has {} splits", splits));
  contents.class_names = cursor.table(cursor.count(classes, 8));
  for (std::uint32_t s = 0; s < splits; ++s)
    contents.splits.push_back(parse_split(cursor, header.index_offset, contents.class_names.size(), path));
  if (header.version == detail::pack_version_with_held_out)
    contents.held_out = parse_held_out_share(cursor, path);
  if (!cursor.empty()) damaged_pack(path, "its index is longer than its content");
  return contents;
}

bool is_pack(const std::string& path) {
  const FileReader file(path);
  detail::Magic magic{};
  if (!file.reason().empty() || !file.read(0, magic).empty()) return false;
  check(magic != detail::partial_magic, ExitCode::data,
        "{}: a pack that is not finished; run pack_dataset again with the same arguments, it continues", path);
  return magic == detail::pack_magic;
}

namespace detail {
namespace {

// A file mapped into memory, read-only. If the file is truncated, or the disk fails, while it is mapped, an
// access would end the program with SIGBUS, so callers check with `available` first.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) : file_(path) {
    check(file_.reason().empty(), ExitCode::data, "{}: {}", path, file_.reason());
    if (file_.size() == 0) return;
    address_ =
        ::mmap(nullptr, static_cast<std::size_t>(file_.size()), PROT_READ, MAP_SHARED, file_.descriptor(), 0);
    check(address_ != MAP_FAILED, ExitCode::data, "{}: cannot be mapped: {}", path, system_message());
  }
  ~MappedFile() {
    if (address_ != MAP_FAILED) ::munmap(address_, static_cast<std::size_t>(file_.size()));
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::uint8_t> bytes() const {
    if (address_ == MAP_FAILED) return {};
    return {static_cast<const std::uint8_t*>(address_), static_cast<std::size_t>(file_.size())};
  }

  // Returns true if these bytes can be read now, and brings them into memory.
  bool available(std::uint64_t offset, std::uint64_t count) const {
    static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const std::uint64_t begin = offset / page * page;
#ifdef MADV_POPULATE_READ
    if (::madvise(static_cast<char*>(address_) + begin, static_cast<std::size_t>(offset + count - begin),
                  MADV_POPULATE_READ) == 0)
      return true;
    if (errno != EINVAL && errno != ENOSYS) return false;  // these two errors: Linux before 5.14
#endif
    struct stat status {};
    return ::fstat(file_.descriptor(), &status) == 0 &&
           offset + count <= static_cast<std::uint64_t>(status.st_size);
  }

 private:
  FileReader file_;
  void* address_ = MAP_FAILED;
};

// The part of a split that one pack holds.
struct PackPart {
  std::string path;
  std::shared_ptr<const MappedFile> file;
  std::vector<PackRecord> records;
  NameTable names;
  std::uint64_t first_number = 0;  // number of its first record in the file
  std::int64_t first_sample = 0;   // index in the data set
};

class PackSource : public SampleSource {
 public:
  std::vector<PackPart> parts;

  explicit PackSource(const DecodeLimits& limits) : SampleSource(limits) {}

  std::string name(std::int64_t i) const override {
    const auto [part, at] = find(i);
    return fmt::format("{}, record {} ({})", part->path, part->first_number + at, part->names[at]);
  }

  std::optional<Encoded> encoded(std::int64_t i, std::vector<std::uint8_t>&) const override {
    const auto [part, at] = find(i);
    if (part->records[at].kind == RecordKind::pixels) return std::nullopt;
    return checked(*part, at);
  }

  std::optional<std::uint64_t> stored_bytes(std::int64_t i) const override {
    const auto [part, at] = find(i);
    return part->records[at].bytes;
  }

  void load(std::int64_t i, Decoded& out) const override {
    const auto [part, at] = find(i);
    if (part->records[at].kind != RecordKind::pixels) return SampleSource::load(i, out);
    const Encoded record = checked(*part, at);
    std::uint32_t size[2] = {0, 0};
    if (record.ok() && record.bytes.size() >= sizeof(size))
      std::memcpy(size, record.bytes.data(), sizeof(size));
    const std::uint64_t pixels = std::uint64_t{size[0]} * size[1];
    const bool sane =
        pixels > 0 && pixels <= limits().max_pixels && record.bytes.size() == sizeof(size) + 3 * pixels;
    out.outcome = sane ? Outcome::ok : Outcome::rejected;
    out.reason = sane ? "" : record.ok() ? "pixels whose size does not fit" : record.reason;
    out.image.resize(sane ? static_cast<int>(size[0]) : 0, sane ? static_cast<int>(size[1]) : 0);
    out.top = out.left = 0;
    out.picture_height = out.image.height;
    out.picture_width = out.image.width;
    if (sane) std::copy(record.bytes.begin() + sizeof(size), record.bytes.end(), out.image.pixels.begin());
  }

 private:
  std::pair<const PackPart*, std::size_t> find(std::int64_t i) const {
    const auto after =
        std::upper_bound(parts.begin(), parts.end(), i,
                         [](std::int64_t sample, const PackPart& part) { return sample < part.first_sample; });
    const PackPart& part = *(after - 1);
    return {&part, static_cast<std::size_t>(i - part.first_sample)};
  }

  static Encoded checked(const PackPart& part, std::size_t at) {
    const PackRecord& record = part.records[at];
    Encoded result;
    if (!part.file->available(record.offset, record.bytes)) {
      result.reason = "cannot be read: the pack was cut while it was open, or the disk fails";
      return result;
    }
    const auto data = part.file->bytes().subspan(static_cast<std::size_t>(record.offset), record.bytes);
    if (record_hash(data, part.first_number + at) != record.hash)
      result.reason = "differs from its checksum: the pack is damaged, make it again with pack_dataset";
    else if (record.kind == RecordKind::missing)
      result.reason = "was missing when the pack was made: " + std::string(data.begin(), data.end());
    else
      result.bytes = data;
    return result;
  }
};

bool is_pack_name(const std::string& name) {
  return name.ends_with(".kpack");
}

constexpr const char* part_names[] = {"train", "val", "test"};  // of the splits of a pack, in their order

using CountsOfClasses = std::vector<std::int64_t>;

void count_labels(const PackSplit& split, CountsOfClasses& counts) {
  for (const PackRecord& record : split.records) ++counts[static_cast<std::size_t>(record.label)];
}

// Origin::divided: the training images of the packs and those that were held out of them. A pack that was made of some
// images of each class does not know how many there were: then the numbers do not fit the share.
CountsOfClasses divided_of(const CountsOfClasses& train, const CountsOfClasses& held, double fraction) {
  CountsOfClasses divided;
  for (std::size_t c = 0; c < train.size(); ++c) {
    divided.push_back(train[c] + held[c]);
    if (held_out_of_class(divided.back(), fraction) != held[c]) return {};
  }
  return divided;
}

// The images of split number `split` of all packs; nullopt if there are none.
std::optional<Dataset> open_split_of_packs(const OpenRequest& request, const std::vector<fs::path>& packs,
                                           std::size_t split) {
  auto source = std::make_shared<PackSource>(request.limits);
  std::vector<std::string> classes;
  std::vector<std::int32_t> labels;
  std::optional<HeldOutShare> held_out;   // if all packs agree
  std::array<CountsOfClasses, 2> counts;  // of the images for training and validation
  bool all_pixels = true, are_undivided = true;
  for (const fs::path& path : packs) {
    PackPart part;
    part.path = path.string();
    part.file = std::make_shared<MappedFile>(part.path);
    PackContents contents = parse_pack(part.file->bytes(), part.path);
    if (classes.empty()) classes = contents.class_names;
    if (path == packs.front())
      held_out = contents.held_out;
    else if (held_out != contents.held_out)
      held_out.reset();
    check(classes == contents.class_names, ExitCode::data,
          "{}: its classes differ from the classes of {}; packs of one folder must be of the same classes",
          part.path, packs.front().string());
    are_undivided &= contents.splits.size() == 1 && !contents.held_out;
    for (std::size_t s = 0; s < counts.size(); ++s) {
      counts[s].resize(classes.size());
      if (s < contents.splits.size()) count_labels(contents.splits[s], counts[s]);
    }
    if (split >= contents.splits.size()) continue;
    for (std::size_t before = 0; before < split; ++before)
      part.first_number += contents.splits[before].records.size();
    part.first_sample = static_cast<std::int64_t>(labels.size());
    part.records = std::move(contents.splits[split].records);
    for (const std::string& name : contents.splits[split].names) part.names.add(name);
    for (const PackRecord& record : part.records) {
      labels.push_back(record.label);
      all_pixels &= record.kind == RecordKind::pixels;
    }
    if (!part.records.empty()) source->parts.push_back(std::move(part));
  }
  if (labels.empty()) return std::nullopt;
  Dataset set(std::move(classes), std::move(labels), std::move(source), all_pixels);
  if (split == 2) held_out.reset();  // images for tests are no part of those for training
  Origin origin{request.dir.string(), part_names[split], held_out};
  if (held_out) origin.divided = divided_of(counts[0], counts[1], held_out->fraction);
  origin.is_undivided = are_undivided;
  set.set_origin(std::move(origin));
  return set;
}

}  // namespace

std::vector<fs::path> find_packs(const fs::path& path) {
  std::error_code ignored;
  std::vector<fs::path> packs;
  if (!fs::is_directory(path, ignored)) {
    if (is_pack(path.string())) packs.push_back(path);
    return packs;
  }
  for (const std::string& name : list_files(path, is_pack_name)) {
    const fs::path file = path / name;
    check(is_pack(file.string()), ExitCode::data, "{}: not a pack, though its name says so; remove it",
          file.string());
    packs.push_back(file);
  }
  return packs;
}

std::optional<Dataset> open_packs(const OpenRequest& request, const std::vector<fs::path>& packs) {
  if (request.split == Split::train) {
    std::optional<Dataset> train = open_split_of_packs(request, packs, 0);
    check(train.has_value(), ExitCode::data, "{}: no training images in it", request.dir.string());
    return train;
  }
  std::optional<Dataset> evaluation;
  if (request.evaluate_on != Split::test) evaluation = open_split_of_packs(request, packs, 1);
  if (!evaluation && request.evaluate_on != Split::val) evaluation = open_split_of_packs(request, packs, 2);
  return evaluation;
}

}  // namespace detail
}  // namespace kindred
