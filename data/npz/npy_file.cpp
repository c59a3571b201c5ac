#include <kindred/data/npz/npy_file.h>
#include <kindred/data/npz/npz_format.h>
#include <kindred/engine/error.h>

#include <bit>

namespace kindred {

static_assert(std::endian::native == std::endian::little, "arrays are read as they lie in memory");

namespace {

// NumPy leaves as much room, so that rows can be appended to a file.
constexpr std::size_t most_digits_of_rows = 21;

std::uint64_t bytes_needed(const std::string& path, std::int64_t rows, std::int64_t columns,
                           const std::string& advice) {
  const std::optional<std::uint64_t> bytes = npy_bytes(rows, columns);
  check(bytes.has_value(), ExitCode::file, "{}: no file has {} rows of {} values; {}", path, rows, columns,
        advice);
  return *bytes;
}

}  // namespace

std::string npy_header(std::int64_t rows, std::int64_t columns) {
  using namespace detail;
  std::string text =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  const std::size_t digits = std::to_string(rows).size();
  const std::size_t most = npy_prefix_bytes + text.size() + (most_digits_of_rows - digits) + 1;
  const std::size_t total = (most + npy_alignment - 1) / npy_alignment * npy_alignment;
  text.resize(total - npy_prefix_bytes - 1, ' ');
  text += '\n';
  return std::string(npy_magic) + Fields().put(static_cast<std::uint16_t>(text.size())).bytes + text;
}

std::optional<std::uint64_t> npy_bytes(std::int64_t rows, std::int64_t columns) {
  if (rows < 0 || columns < 1) return std::nullopt;
  std::uint64_t bytes = sizeof(float);
  for (const std::int64_t extent : {rows, columns})
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) return std::nullopt;
  if (__builtin_add_overflow(bytes, npy_header(rows, columns).size(), &bytes)) return std::nullopt;
  return bytes;
}

NpyWriter::NpyWriter(const std::filesystem::path& path, std::int64_t columns, FileOperations& files)
    : file_(path, files), columns_(columns) {
  check(columns >= 1, ExitCode::internal, "a table of {} columns", columns);
  const std::string header = npy_header(0, columns);
  file_.write(header.data(), header.size());
}

void NpyWriter::append(std::span<const float> values) {
  const auto columns = static_cast<std::size_t>(columns_);
  check(values.size() % columns == 0, ExitCode::internal, "{} values are not whole rows of {}", values.size(),
        columns);
  file_.write(values.data(), values.size_bytes());
  rows_ += static_cast<std::int64_t>(values.size() / columns);
}

std::uint64_t NpyWriter::bytes() const {
  return npy_header(rows_, columns_).size() +
         sizeof(float) * static_cast<std::uint64_t>(rows_) * static_cast<std::uint64_t>(columns_);
}

void NpyWriter::commit() {
  const std::string header = npy_header(rows_, columns_);
  file_.overwrite(0, header.data(), header.size());
  file_.commit();
}

MappedNpy::MappedNpy(const std::string& path, std::int64_t rows, std::int64_t columns,
                     const std::string& advice)
    : file_(path, bytes_needed(path, rows, columns, advice), advice) {
  const std::string header = npy_header(rows, columns);
  header_bytes_ = header.size();
  check(file_.text().starts_with(header), ExitCode::file,
        "{}: it does not begin as a table of {} rows of {} values does; {}", path, rows, columns, advice);
}

std::span<const float> MappedNpy::values() const {
  const auto elements = file_.bytes().subspan(header_bytes_);
  // The header's length is a multiple of 64, and a file is mapped to the begin of a page.
  return {reinterpret_cast<const float*>(elements.data()), elements.size() / sizeof(float)};
}

}  // namespace kindred
