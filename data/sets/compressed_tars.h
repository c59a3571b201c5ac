// Tar archives that are compressed. Shards are read where they lie, so they must be plain tar files.
#pragma once

#include <kindred/data/files/byte_reader.h>

#include <filesystem>
#include <string>

namespace kindred::detail {

// "2 tar archives are compressed with gzip, such as 'a.tar.gz', and ... gunzip them": those that lie directly in `dir`, by
// the endings of their names. Empty if there are none. Throws Error(data) if `dir` cannot be listed.
std::string compressed_tars_in(const std::filesystem::path& dir);

// Why an archive, whatever it is called, is no plain tar file, and what to do; empty if its first bytes are of no
// compression that is known.
std::string compression_of_tar(const ByteReader& archive);
// The program that undoes that compression: "gunzip"; empty if the archive has none that is known.
std::string undo_of_compressed_tar(const ByteReader& archive);

}  // namespace kindred::detail
