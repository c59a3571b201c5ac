#include <kindred/data/sets/mat_file.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include <zlib.h>

namespace kindred {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t mat_header_bytes = 128, max_inflated = std::size_t{64} << 20;
constexpr std::uint32_t mi_int8 = 1, mi_int32 = 5, mi_uint32 = 6, mi_matrix = 14, mi_compressed = 15;
constexpr std::uint32_t class_struct = 2, class_char = 4;

struct Element {
  std::uint32_t type = 0;
  Bytes data;
};

class Parser {
 public:
  explicit Parser(const std::string& path) : path_(path) {}

  std::vector<Synset> synsets(Bytes file) const {
    // "IM" is the 16-bit "MI" as a little-endian writer stores it.
    if (file.size() < mat_header_bytes || file[126] != 'I' || file[127] != 'M') damaged("no MATLAB 5 header");
    for (Bytes rest = file.subspan(mat_header_bytes); !rest.empty();) {
      std::vector<std::uint8_t> inflated;
      Element element = take(rest);
      if (element.type == mi_compressed) {
        inflated = inflate(element.data);
        Bytes inside = inflated;
        element = take(inside);
      }
      if (element.type != mi_matrix) continue;
      const std::vector<Synset> found = read_struct(element.data);
      if (!found.empty()) return found;
    }
    damaged("no struct array with the fields ILSVRC2012_ID and WNID");
  }

 private:
  [[noreturn]] void damaged(const char* what) const {
    fail(ExitCode::data, "{}: {}; it is not the meta.mat of ImageNet's development kit: unpack that again",
         path_, what);
  }

  std::uint32_t u32(Bytes bytes, std::size_t at) const {
    if (bytes.size() < at + 4) damaged("it ends too early");
    std::uint32_t value;
    std::memcpy(&value, bytes.data() + at, 4);
    return value;
  }

  // Removes one element from the front of `rest`. Up to four bytes of data may be stored in the tag itself.
  Element take(Bytes& rest) const {
    const std::uint32_t first = u32(rest, 0);
    const bool small = (first >> 16) != 0;
    const std::size_t bytes = small ? first >> 16 : u32(rest, 4), begin = small ? 4 : 8;
    const std::uint32_t type = small ? first & 0xFFFF : first;
    if ((small && bytes > 4) || rest.size() < begin || bytes > rest.size() - begin)
      damaged("it ends too early");
    const Element element{type, rest.subspan(begin, bytes)};
    const std::size_t padded = small ? 8 : type == mi_compressed ? begin + bytes : begin + (bytes + 7) / 8 * 8;
    rest = rest.subspan(std::min(padded, rest.size()));
    return element;
  }

  // The data of the next element, which must have this type.
  Bytes take(Bytes& rest, std::uint32_t type) const {
    const Element element = take(rest);
    if (element.type != type) damaged("an array whose parts are not in order");
    return element.data;
  }

  std::vector<std::uint8_t> inflate(Bytes packed) const {
    std::vector<std::uint8_t> out(std::min(max_inflated, std::max<std::size_t>(4096, packed.size() * 8)));
    for (;;) {
      uLongf bytes = out.size();
      const int status = ::uncompress(out.data(), &bytes, packed.data(), packed.size());
      if (status == Z_OK) {
        out.resize(bytes);
        return out;
      }
      if (status != Z_BUF_ERROR || out.size() >= max_inflated) damaged("its compressed data cannot be read");
      out.resize(std::min(max_inflated, out.size() * 2));
    }
  }

  struct Matrix {
    std::uint32_t array_class = 0;
    std::uint64_t count = 1;  // elements
    Bytes rest;               // after flags, dimensions and name
  };

  Matrix open_matrix(Bytes data) const {
    Matrix matrix;
    if (data.empty()) return {0, 0, {}};  // an empty cell
    matrix.array_class = u32(take(data, mi_uint32), 0) & 0xFF;
    const Bytes dimensions = take(data, mi_int32);
    for (std::size_t at = 0; at + 4 <= dimensions.size(); at += 4) {
      matrix.count *= u32(dimensions, at);
      if (matrix.count > max_inflated) damaged("an array that is too large");
    }
    take(data, mi_int8);  // the name
    matrix.rest = data;
    return matrix;
  }

  std::vector<Synset> read_struct(Bytes data) const {
    Matrix matrix = open_matrix(data);
    if (matrix.array_class != class_struct) return {};
    const std::uint32_t name_bytes = u32(take(matrix.rest, mi_int32), 0);
    const Bytes names = take(matrix.rest, mi_int8);
    if (name_bytes == 0 || name_bytes > 64) damaged("field names of an impossible length");
    std::size_t id_field = names.size(), wnid_field = names.size();
    const std::size_t fields = names.size() / name_bytes;
    for (std::size_t f = 0; f < fields; ++f) {
      const auto* text = reinterpret_cast<const char*>(names.data()) + f * name_bytes;
      const std::string name(text, ::strnlen(text, name_bytes));
      if (name == "ILSVRC2012_ID") id_field = f;
      if (name == "WNID") wnid_field = f;
    }
    if (id_field == names.size() || wnid_field == names.size()) return {};
    std::vector<Synset> synsets;
    for (std::uint64_t i = 0; i < matrix.count; ++i) {
      Synset synset;
      for (std::size_t f = 0; f < fields; ++f) {
        const Element cell = take(matrix.rest);
        if (f == id_field) synset.id = number(cell.data);
        if (f == wnid_field) synset.wnid = text(cell.data);
      }
      synsets.push_back(std::move(synset));
    }
    return synsets;
  }

  template <typename T>
  std::int64_t first_as(Bytes data) const {
    if (data.size() < sizeof(T)) damaged("a number without a value");
    T value;
    std::memcpy(&value, data.data(), sizeof(T));
    if constexpr (std::is_floating_point_v<T>) {
      if (!(std::abs(value) < T(1e15))) damaged("a class number that is not a number");
    }
    return static_cast<std::int64_t>(value);
  }

  // The first value of a numeric array. MATLAB stores integral doubles in the smallest type that holds them.
  std::int64_t number(Bytes data) const {
    Matrix matrix = open_matrix(data);
    const Element values = take(matrix.rest);
    switch (values.type) {
      case 1:
        return first_as<std::int8_t>(values.data);
      case 2:
        return first_as<std::uint8_t>(values.data);
      case 3:
        return first_as<std::int16_t>(values.data);
      case 4:
        return first_as<std::uint16_t>(values.data);
      case 5:
        return first_as<std::int32_t>(values.data);
      case 6:
        return first_as<std::uint32_t>(values.data);
      case 7:
        return first_as<float>(values.data);
      case 9:
        return first_as<double>(values.data);
      default:
        damaged("a class number of an unknown type");
    }
  }

  // A character array with 8 or 16 bits per character.
  std::string text(Bytes data) const {
    Matrix matrix = open_matrix(data);
    if (matrix.array_class != class_char) damaged("a class name that is not a text");
    const Element characters = take(matrix.rest);
    const std::size_t step = characters.type == 4 || characters.type == 17 ? 2 : 1;
    std::string result;
    for (std::size_t at = 0; at + step <= characters.data.size(); at += step)
      result += static_cast<char>(characters.data[at]);
    return result;
  }

  const std::string& path_;
};

}  // namespace

static_assert(std::endian::native == std::endian::little, "files are read as they lie in memory");

std::vector<Synset> read_synsets(std::span<const std::uint8_t> file, const std::string& path) {
  return Parser(path).synsets(file);
}

}  // namespace kindred
