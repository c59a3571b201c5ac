#include <kindred/engine/files/foreign_weights.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/engine/files/safetensors_header.h>
#include <kindred/engine/files/system_message.h>

#include <fcntl.h>     // defines: open and its flags
#include <sys/stat.h>  // defines: fstat, S_ISREG, S_ISDIR
#include <unistd.h>    // defines: pread, close

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <limits>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the files are little-endian and are read as they are");

constexpr std::uint64_t most_header_bytes = 100'000'000;  // the format's own limit

// A 16-bit IEEE float: 5 bits of exponent, 10 bits of mantissa.
struct Half {
  std::uint16_t bits;
  operator double() const {
    const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == 31)
      return sign *
             (mantissa ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity());
    return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25));
  }
};

// Calls body(T{}) with the C++ type for the format's type. Returns false if there is none.
template <typename Body>
bool with_file_type(std::string_view dtype, Body&& body) {
  if (dtype == "F32")
    body(float{});
  else if (dtype == "F64")
    body(double{});
  else if (dtype == "BF16")
    body(BFloat16{});
  else if (dtype == "F16")
    body(Half{});
  else if (dtype == "I64")
    body(std::int64_t{});
  else if (dtype == "I32")
    body(std::int32_t{});
  else if (dtype == "I16")
    body(std::int16_t{});
  else if (dtype == "I8")
    body(std::int8_t{});
  else if (dtype == "U64")
    body(std::uint64_t{});
  else if (dtype == "U32")
    body(std::uint32_t{});
  else if (dtype == "U16")
    body(std::uint16_t{});
  else if (dtype == "U8" || dtype == "BOOL")
    body(std::uint8_t{});
  else
    return false;
  return true;
}

template <typename T>
inline constexpr bool is_real = std::is_same_v<T, float> || std::is_same_v<T, double> ||
                                std::is_same_v<T, BFloat16> || std::is_same_v<T, Half>;

// Returns false if the value does not fit.
template <typename To, typename From>
bool convert(From from, To& to) {
  if constexpr (std::is_same_v<To, From>)
    to = from;
  else if constexpr (std::is_same_v<To, BFloat16>)
    to = BFloat16(static_cast<float>(from));
  else if constexpr (is_real<To>)
    to = static_cast<To>(from);
  else if constexpr (is_real<From>)
    return false;
  else if (!std::in_range<To>(from))
    return false;
  else
    to = static_cast<To>(from);
  return true;
}

// Reads and converts in pieces, so that memory holds little more than the result.
template <typename To>
void read_converted(int file, const std::string& path, std::uint64_t data_begin, const SafetensorsEntry& entry,
                    To* to) {
  const bool known = with_file_type(entry.dtype, [&]<typename From>(From) {
    constexpr std::int64_t piece = 65536;
    const std::int64_t total = entry.numel();
    std::uint64_t offset = data_begin + entry.begin;
    if constexpr (std::is_same_v<To, From>) {
      read_exactly(file, path, offset, to, static_cast<std::size_t>(total) * sizeof(To));
      return;
    }
    std::vector<From> buffer(static_cast<std::size_t>(std::min(piece, total)));
    for (std::int64_t done = 0; done < total; done += piece) {
      const std::int64_t count = std::min(piece, total - done);
      const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(From);
      read_exactly(file, path, offset, buffer.data(), bytes);
      offset += bytes;
      for (std::int64_t i = 0; i < count; ++i)
        check(convert(buffer[static_cast<std::size_t>(i)], to[done + i]), ExitCode::file,
              "{}: {} holds {} values that are not {}-bit integers", path, printable(entry.name), entry.dtype,
              8 * sizeof(To));
    }
  });
  check(known, ExitCode::file, "{}: {} has elements of type {}, which cannot be read; save it as F32", path,
        printable(entry.name), entry.dtype);
}

}  // namespace

void read_exactly(int file, const std::string& path, std::uint64_t offset, void* target, std::size_t bytes) {
  auto* next = static_cast<char*>(target);
  while (bytes > 0) {
    const ssize_t got = ::pread(file, next, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    check(got >= 0, ExitCode::file, "{} cannot be read: {}", path, system_message());
    check(got > 0, ExitCode::file, "{} ended while it was read: somebody changed it; start again", path);
    next += got;
    offset += static_cast<std::uint64_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
}

std::int64_t SafetensorsEntry::numel() const {
  return static_cast<std::int64_t>((end - begin) / safetensors_element_bytes(dtype));
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path.string()) {
  // O_NONBLOCK: otherwise opening a FIFO without a writer would wait for ever.
  struct Closing {
    int fd;
    ~Closing() {
      if (fd >= 0) ::close(fd);
    }
  } opened{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  check(opened.fd >= 0, ExitCode::file, "{} cannot be opened: {}", path_, system_message());
  struct stat status {};
  check(::fstat(opened.fd, &status) == 0, ExitCode::file, "{} cannot be examined: {}", path_, system_message());
  check(S_ISREG(status.st_mode), ExitCode::file, "{} is not a file{}; give the path of a .safetensors file",
        path_, S_ISDIR(status.st_mode) ? " but a folder" : "");
  const auto file_bytes = static_cast<std::uint64_t>(status.st_size);

  std::uint64_t header_bytes = 0;
  constexpr std::uint64_t length_bytes = sizeof header_bytes;
  check(file_bytes >= length_bytes, ExitCode::file,
        "{} has {} bytes: it is truncated or not a safetensors file", path_, file_bytes);
  read_exactly(opened.fd, path_, 0, &header_bytes, length_bytes);
  char first = '\0';  // of the header, which is JSON
  if (file_bytes > length_bytes) read_exactly(opened.fd, path_, length_bytes, &first, 1);
  const bool is_too_long = header_bytes > file_bytes - length_bytes;
  if (first != '{' || is_too_long) {
    const std::string other = what_else_it_is(opened.fd, path_, file_bytes);
    check(other.empty(), ExitCode::file, "{} {}", path_, other);
    check(first == '{' || !is_too_long, ExitCode::file,
          "{} is no safetensors file: expected the length of a header, and a header in JSON that begins with "
          "{{; give a .safetensors file",
          path_);
  }
  check(header_bytes <= most_header_bytes, ExitCode::file,
        "{}: it announces a header of {} bytes, more than the {} that are allowed: it is damaged or not a "
        "safetensors file",
        path_, header_bytes, most_header_bytes);
  check(!is_too_long, ExitCode::file,
        "{}: it announces a header of {} bytes and has {} in all: it is truncated or not a safetensors file",
        path_, header_bytes, file_bytes);
  std::string json(header_bytes, '\0');
  read_exactly(opened.fd, path_, length_bytes, json.data(), json.size());
  data_begin_ = length_bytes + header_bytes;
  data_end_ = file_bytes;

  SafetensorsHeader header = parse_safetensors_header(path_, json, file_bytes - data_begin_);
  metadata_ = std::move(header.metadata);
  entries_ = std::move(header.entries);
  for (std::size_t i = 0; i < entries_.size(); ++i) index_.emplace(entries_[i].name, i);
  file_ = std::exchange(opened.fd, -1);
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      data_begin_(other.data_begin_),
      data_end_(other.data_end_),
      metadata_(std::move(other.metadata_)),
      entries_(std::move(other.entries_)),
      index_(std::move(other.index_)) {}

SafetensorsFile::~SafetensorsFile() {
  if (file_ >= 0) ::close(file_);
}

const SafetensorsEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

const SafetensorsEntry& SafetensorsFile::at(const std::string& name) const {
  const SafetensorsEntry* entry = find(name);
  check(entry != nullptr, ExitCode::file, "{}: it has no tensor called {}", path_, printable(name));
  return *entry;
}

template <typename T>
std::vector<T> SafetensorsFile::read(const SafetensorsEntry& entry) const {
  std::vector<T> values(static_cast<std::size_t>(entry.numel()));
  read_converted(file_, path_, data_begin_, entry, values.data());
  return values;
}
template std::vector<float> SafetensorsFile::read(const SafetensorsEntry&) const;
template std::vector<double> SafetensorsFile::read(const SafetensorsEntry&) const;
template std::vector<std::int32_t> SafetensorsFile::read(const SafetensorsEntry&) const;
template std::vector<std::int64_t> SafetensorsFile::read(const SafetensorsEntry&) const;

void SafetensorsFile::read_into(const SafetensorsEntry& entry, Tensor& target) const {
  const bool fits = entry.shape.size() <= Shape::max_rank && Shape(entry.shape) == target.shape();
  check(fits, ExitCode::file, "{}: {} has the shape [{}], expected {}", path_, printable(entry.name),
        joined(entry.shape, ", "), target.shape());
  if (target.device() == Device::plan) return;
  if (!is_host(target.device())) {
    Tensor host = Tensor::empty(target.shape(), target.dtype(), Device::cpu);
    read_into(entry, host);
    target.copy_from(host);
    return;
  }
  const auto read_as = [&]<typename T>(T) {
    read_converted(file_, path_, data_begin_, entry, target.data<T>());
  };
  switch (target.dtype()) {
    case DType::f32:
      return read_as(float{});
    case DType::f64:
      return read_as(double{});
    case DType::bf16:
      return read_as(BFloat16{});
    case DType::i32:
      return read_as(std::int32_t{});
    case DType::u8:
      return read_as(std::uint8_t{});
    case DType::f16:
      break;
  }
  fail(ExitCode::internal, "reading {} into a tensor of type {}", printable(entry.name),
       kindred::name(target.dtype()));
}

}  // namespace kindred
