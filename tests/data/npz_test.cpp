// .npz files: written files can be read again, and hostile files are refused before they cost time or memory.
#include <kindred/data/npz/npz.h>
#include <kindred/engine/error.h>

#include "../engine/temporary_folder.h"

#include <cstring>
#include <functional>

namespace kindred {
namespace {

using Extents = std::vector<std::int64_t>;

std::shared_ptr<ByteReader> reader_of(const std::string& bytes) {
  return std::make_shared<MemoryReader>(
      std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
}

// Opens and reads everything. Returns the complaint, or "".
std::string complaint_about(const std::string& bytes) {
  try {
    const NpzFile file(reader_of(bytes), "f.npz");
    for (const NpzEntry& entry : file.entries()) {
      if (entry.type == "<f4") file.read<float>(entry);
      if (entry.type == "<f8") file.read<double>(entry);
      if (entry.type == "<i4") file.read<std::int32_t>(entry);
      if (entry.type == "<i8") file.read<std::int64_t>(entry);
      if (entry.type.starts_with("<U")) file.read_texts(entry);
    }
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::file);
    return error.what();
  }
  return "";
}

std::string small_file(const TemporaryFolder& folder) {
  NpzWriter writer(folder / "small");
  writer.begin<float>("x", {2});
  writer.append<float>(std::vector<float>{1, 2, 3, 4});
  writer.begin_texts("t", 3);
  writer.append_text("abc");
  writer.commit();
  return read_bytes(folder / "small");
}

TEST_CASE("npz: arrays and texts are read back") {
  const TemporaryFolder folder;
  {
    NpzWriter writer(folder / "f.npz");
    writer.begin<float>("features", {3});
    for (int batch = 0; batch < 5; ++batch)
      writer.append<float>(std::vector<float>{float(batch), 0.5f, -1, float(batch), 1e30f, -2});
    writer.begin<std::int64_t>("labels", {});
    writer.append<std::int64_t>(std::vector<std::int64_t>{1, -2, std::int64_t{1} << 40});
    writer.begin_texts("paths", 6);
    for (const char* text : {"", "a/b", "éß漢😀", "\xff?"}) writer.append_text(text);
    writer.add<double>("scalar", {}, std::vector<double>{0.25});
    writer.add<std::int32_t>("matrix", {2, 2}, std::vector<std::int32_t>{1, 2, 3, 4});
    writer.begin<float>("none", {7});
    CHECK(folder.file_count() == 1);  // the temporary
    CHECK(!std::filesystem::exists(folder / "f.npz"));
    writer.commit();
  }
  const NpzFile file(folder / "f.npz");
  CHECK(file.entries().size() == 6);
  CHECK(file.at("features").shape == Extents{10, 3});
  const auto features = file.read<float>(file.at("features"));
  CHECK(features[27] == 4.0f);
  CHECK(features[28] == 1e30f);
  CHECK(file.read<std::int64_t>(file.at("labels"))[2] == std::int64_t{1} << 40);
  CHECK(file.read_texts(file.at("paths")) == std::vector<std::string>{"", "a/b", "éß漢😀", "\xEF\xBF\xBD?"});
  CHECK(file.at("scalar").shape.empty());
  CHECK(file.read<double>(file.at("scalar"))[0] == 0.25);
  CHECK(file.at("matrix").shape == Extents{2, 2});
  CHECK(file.at("none").shape == Extents{0, 7});
  CHECK(file.read<float>(file.at("none")).empty());
  CHECK_THROWS_AS(file.at("other"), Error);
  CHECK_THROWS_AS(file.read<double>(file.at("features")), Error);
  CHECK_THROWS_AS(file.read_texts(file.at("features")), Error);
  CHECK(text_width("éß漢😀") == 4);
  for (const NpzEntry& entry : file.entries()) CHECK((entry.offset - entry.file_offset) % 64 == 0);
}

TEST_CASE("npz: the same arrays are the same bytes; nothing is left of a writer that is dropped") {
  const TemporaryFolder folder;
  CHECK(small_file(folder) == small_file(folder));
  { NpzWriter dropped(folder / "dropped"); }
  CHECK(folder.file_count() == 1);
}

TEST_CASE("npz: the writer refuses what would make a bad file") {
  const TemporaryFolder folder;
  NpzWriter writer(folder / "f");
  writer.begin<float>("x", {2});
  CHECK_THROWS_AS(writer.append<float>(std::vector<float>{1}), Error);    // half a row
  CHECK_THROWS_AS(writer.append<double>(std::vector<double>{1}), Error);  // another type
  CHECK_THROWS_AS(writer.begin<float>("x", {2}), Error);                  // twice
  writer.begin_texts("t", 2);
  CHECK_THROWS_AS(writer.append_text("abc"), Error);
  writer.add<float>("whole", {2}, std::vector<float>{1, 2});
}

TEST_CASE("npz: a full disk is one error, and the old file stays") {
  struct Full : FileOperations {
    ssize_t pwrite(int, const void*, std::size_t, off_t) override {
      errno = ENOSPC;
      return -1;
    }
  } full;
  const TemporaryFolder folder;
  write_bytes(folder / "f", "old");
  {
    NpzWriter writer(folder / "f", full);
    writer.begin<float>("x", {});
    writer.append<float>(std::vector<float>{1});
    try {
      writer.commit();
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::io);
      CHECK(std::string(error.what()).find("full") != std::string::npos);
    }
  }
  CHECK(read_bytes(folder / "f") == "old");
  CHECK(folder.file_count() == 1);
}

TEST_CASE("npz: a file cut at any byte, or longer, is refused") {
  const TemporaryFolder folder;
  const std::string bytes = small_file(folder);
  CHECK(complaint_about(bytes) == "");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK(complaint_about(bytes.substr(0, length)) != "");
  }
  CHECK(complaint_about(bytes + "x") != "");
}

TEST_CASE("npz: with any byte changed, data that differs is never accepted") {
  const TemporaryFolder folder;
  const std::string bytes = small_file(folder);
  const NpzFile good(reader_of(bytes), "f");
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (const unsigned flip : {1u, 8u, 32u, 128u, 255u}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ flip);
      const std::string message = complaint_about(changed);
      for (const NpzEntry& entry : good.entries())
        if (at >= entry.file_offset && at < entry.offset + entry.bytes) CHECK(message != "");
    }
}

TEST_CASE("npz: claims that the file cannot keep cost nothing") {
  const TemporaryFolder folder;
  const std::string bytes = small_file(folder);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = bytes;
    const auto at = changed.find(from);
    REQUIRE(at != changed.npos);
    REQUIRE(from.size() == to.size());
    return changed.replace(at, from.size(), to);
  };
  CHECK(complaint_about(with("(2, 2,)", "(9999,)")).find("its shape needs") != std::string::npos);
  CHECK(complaint_about(with("(2, 2,), }                 ", "(4294967296,4294967296,), }"))
            .find("impossibly large") != std::string::npos);
  CHECK(complaint_about(with("(2, 2,)", "(-2,-2)")).find("not what numpy writes") != std::string::npos);
  CHECK(complaint_about(with("False", "True ")).find("column by column") != std::string::npos);
  CHECK(complaint_about(with("'<f4'", "'<U0'")).find("another type") != std::string::npos);
  CHECK(complaint_about(with("'<f4'", "'|O8'")).find("another type") != std::string::npos);
  CHECK(complaint_about(with("x.npy", "x.exe")) != "");
  // The general purpose flags and the method of the first array in the directory (APPNOTE.TXT 4.3.12):
  // encrypted, deflated.
  for (const std::size_t field : {8u, 10u}) {
    std::string changed = bytes;
    changed[bytes.find("PK\x01\x02") + field] |= field == 8 ? 1 : 8;
    CHECK(complaint_about(changed).find("compressed") != std::string::npos);
  }
  const auto put = [&](std::size_t from_end, auto value) {
    std::string changed = bytes;
    std::memcpy(changed.data() + changed.size() - from_end, &value, sizeof value);
    return changed;
  };
  CHECK(complaint_about(put(12, std::uint16_t{60000})).find("cut short") != std::string::npos);  // members
  CHECK(complaint_about(put(12, std::uint16_t{1})).find("longer than its declared entries") !=
        std::string::npos);
  CHECK(complaint_about(put(10, std::uint32_t{0xfffffff0})) != "");  // size of the directory
  CHECK(complaint_about(put(6, std::uint32_t{0xfffffff0})) != "");   // its place
  CHECK(complaint_about(put(6, std::uint32_t{0xffffffff})).find("zip64") != std::string::npos);
}

}  // namespace
}  // namespace kindred
