// Tar archives written by hand, well-formed and malformed ones.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace kindred::test {

class TarWriter {
 public:
  // A header of the given type, then the data, padded. `claimed` overrides the size that the header states.
  void add(const std::string& name, const std::string& data, char type = '0', std::int64_t claimed = -1) {
    std::string header(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
    put(0, name.substr(0, 100));
    put(100, "0000644");
    put(108, "0001750");
    put(116, "0001750");
    put(124, fmt::format("{:011o}", claimed >= 0 ? claimed : static_cast<std::int64_t>(data.size())));
    put(136, "00000000000");
    header[156] = type;
    put(257, std::string("ustar\00000", 8));
    seal(header);
    bytes_ += header;
    bytes_ += data;
    pad();
  }

  // POSIX: the front of a long name in its own field.
  void add_prefixed(const std::string& prefix, const std::string& name, const std::string& data) {
    const std::size_t at = bytes_.size();
    add(name, data);
    bytes_.replace(at + 345, prefix.size(), prefix);
    std::string header = bytes_.substr(at, 512);
    seal(header);
    bytes_.replace(at, 512, header);
  }

  // "<length> key=value\n", where the length counts itself.
  static std::string pax_record(const std::string& key, const std::string& value) {
    std::size_t length = key.size() + value.size() + 3;
    while (fmt::format("{} {}={}\n", length, key, value).size() != length) ++length;
    return fmt::format("{} {}={}\n", length, key, value);
  }
  void add_pax(const std::string& name, const std::string& data) {
    add("pax", pax_record("path", name) + pax_record("size", fmt::format("{}", data.size())), 'x');
    add("short", data, '0', 0);
  }
  void add_gnu(const std::string& name, const std::string& data) {
    add("././@LongLink", name + '\0', 'L');
    add(name.substr(0, 100), data);
  }

  std::string finish() const { return bytes_ + std::string(1024, '\0'); }
  std::string unfinished() const { return bytes_; }

 private:
  static void seal(std::string& header) {
    header.replace(148, 8, 8, ' ');
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    header.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  }
  void pad() { bytes_.resize((bytes_.size() + 511) / 512 * 512); }

  std::string bytes_;
};

inline std::vector<std::uint8_t> as_bytes(const std::string& text) {
  return std::vector<std::uint8_t>(text.begin(), text.end());
}

}  // namespace kindred::test
