// The members of an uncompressed tar archive, found by reading its headers alone.
//
// Supports POSIX ustar and pax, and GNU long names and sizes (POSIX.1-2017, "pax", section "ustar Interchange
// Format"; GNU tar manual, "Basic Tar Format"). The archive is not trusted. Errors are: a header with a wrong
// checksum, a member that reaches beyond the end, a missing end mark, and data after the end mark. In each of
// these cases images would be missing without any notice. Nothing is ever extracted, so names are harmless.
#pragma once

#include <kindred/data/files/byte_reader.h>

#include <cstdint>
#include <string>

namespace kindred {

enum class TarKind { file, link, folder, other };

struct TarMember {
  std::string name;
  TarKind kind = TarKind::file;
  std::uint64_t offset = 0;  // of its first byte in the archive
  std::uint64_t bytes = 0;
};

class TarReader {
 public:
  // `archive` must outlive this object. `path` is used in error messages.
  TarReader(const ByteReader& archive, std::string path) : archive_(archive), path_(std::move(path)) {}

  // Gets the next member, in the order of the archive. Returns false at the end. Throws Error(data).
  bool next(TarMember& member);

 private:
  struct Extension {  // what pax headers and GNU's long names say about the member that follows
    std::string name;
    bool has_size = false;
    std::uint64_t size = 0;
  };

  [[noreturn]] void damaged(std::uint64_t at, const std::string& what) const;
  std::string read_text(std::uint64_t bytes) const;
  void read_pax(const std::string& records, Extension& extension) const;
  void check_end() const;

  const ByteReader& archive_;
  std::string path_;
  std::uint64_t at_ = 0;  // of the next header
};

}  // namespace kindred
