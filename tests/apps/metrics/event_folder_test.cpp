// What TensorBoard and spreadsheets read of a run. tests/golden/check_events.py reads the files with TensorBoard itself.
#include "../../engine/temporary_folder.h"
#include "../../errors.h"
#include "event_reader.h"

#include <kindred/apps/metrics/event_folder.h>
#include <kindred/apps/metrics/metrics_csv.h>
#include <kindred/apps/metrics/picture_file.h>
#include <kindred/data/images/jpeg_writer.h>

#include <doctest/doctest.h>
#include <sys/stat.h>  // defines: mkfifo

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;
using test::pictures_of;
using test::records_of;

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  if (fs::exists(folder))
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

// A field of protobuf: its number and kind, and the bytes of a text or of a f32.
std::string text_field(int number, const std::string& text) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(text.size())} + text;
}
std::string f32_field(int number, float value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return std::string{static_cast<char>(number << 3 | 5)} + bytes;
}
std::string scalar(const std::string& name, float value) {
  return text_field(1, text_field(1, name) + f32_field(2, value));
}

nlohmann::json line_of(int epoch, double loss) {
  return {{"epoch", epoch},
          {"loss", loss},
          {"knn_top1", nullptr},
          {"time", "2026-01-02T03:04:05Z"},
          {"features", {{"uniformity", -0.5}, {"positives_histogram", {{3, 2}, {5, 1}}}}}};
}

TEST_CASE("events: checksums are CRC-32C, masked as TensorFlow does") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xe3069283u);            // of the CRC catalogue
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aau);  // RFC 3720, B.4
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
  const std::string record = framed("abc");
  REQUIRE(record.size() == 8 + 4 + 3 + 4);
  CHECK(record.substr(0, 8) == std::string("\x03\0\0\0\0\0\0\0", 8));
  CHECK(record.substr(12, 3) == "abc");
  std::uint32_t masked = 0;
  std::memcpy(&masked, record.data() + 15, sizeof(masked));
  const std::uint32_t rotated = masked - 0xa282ead8u;
  CHECK((rotated >> 17 | rotated << 15) == crc32c("abc"));
}

TEST_CASE("events: every number of an epoch is a scalar by its name, and its step is the epoch" *
          doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  EventFolder events(folder.path / "t");
  events.write({line_of(7, 2.25)});
  const auto files = files_in(folder.path / "t");
  REQUIRE(files.size() == 1);
  CHECK(is_event_file_name(files[0].filename().string()));
  CHECK(files[0].filename().string().find("tfevents") != std::string::npos);
  const auto records = records_of(read_bytes(files[0].string()));
  REQUIRE(records.size() == 2);
  CHECK(records[0].ends_with(text_field(3, "brain.Event:2")));
  double wall_time = 0;
  std::memcpy(&wall_time, records[1].data() + 1, sizeof(wall_time));
  CHECK(wall_time == 1767323045.0);  // 2026-01-02 03:04:05 UTC
  CHECK(records[1].substr(9, 2) == "\x10\x07");
  CHECK(records[1].find(scalar("loss", 2.25F)) != std::string::npos);
  CHECK(records[1].find(scalar("features/uniformity", -0.5F)) != std::string::npos);
  CHECK(records[1].find("features/positives_histogram") != std::string::npos);
  CHECK(records[1].find("knn_top1") == std::string::npos);
  CHECK(records[1].find("epoch") == std::string::npos);
}

TEST_CASE("events: an epoch is appended, and a process that goes on leaves one file with every step once" *
          doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  std::vector<nlohmann::json> lines;
  {
    EventFolder events(folder.path);
    for (int epoch = 1; epoch <= 3; ++epoch) {
      lines.push_back(line_of(epoch, 1.0 / epoch));
      events.write(lines);
    }
  }
  auto files = files_in(folder.path);
  REQUIRE(files.size() == 1);
  const std::string whole = read_bytes(files[0].string());
  CHECK(records_of(whole).size() == 4);
  write_bytes(files[0].string(), whole.substr(0, whole.size() - 5));  // killed while it wrote
  write_bytes(folder / "events.out.tfevents.99.users", "the user's");
  lines.pop_back();  // and goes on from the checkpoint of epoch 2
  EventFolder resumed(folder.path);
  resumed.write(lines);
  lines.push_back(line_of(3, 1.0 / 3));
  resumed.write(lines);
  files = files_in(folder.path);
  REQUIRE(files.size() == 2);
  const fs::path ours = is_event_file_name(files[0].filename().string()) ? files[0] : files[1];
  CHECK(read_bytes(ours.string()) == whole);
  CHECK(read_bytes(folder / "events.out.tfevents.99.users") == "the user's");
}

TEST_CASE("events: a folder that cannot be written is said, and all is written when it can be" *
          doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  write_bytes(folder / "t", "in the way");
  EventFolder events(folder.path / "t");
  CHECK(test::error_of([&] { events.write({line_of(1, 2)}); }).find("is not a folder") != std::string::npos);
  fs::remove(folder.path / "t");
  events.write({line_of(1, 2), line_of(2, 1)});
  REQUIRE(files_in(folder.path / "t").size() == 1);
  CHECK(records_of(read_bytes(files_in(folder.path / "t")[0].string())).size() == 3);
}

std::string jpeg_of(int height, int width) {
  Image image(height, width);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i * i / 7);
  const std::vector<std::uint8_t> bytes = encode_jpeg(image, 90);
  return std::string(bytes.begin(), bytes.end());
}

TEST_CASE("events: the picture of a run stands before its epochs, and once after a crash" *
          doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  const fs::path picture = folder / "views.jpg";
  const std::string begins(views_sheet_begins), hostile = begins + "\n\n    a\tb\x1b\xff\n";
  const std::string jpeg = with_text(jpeg_of(13, 29), hostile);
  write_bytes(picture, jpeg);
  std::vector<nlohmann::json> lines = {line_of(1, 2), line_of(2, 1)};
  const auto the_picture = [&] {
    const auto files = files_in(folder / "t");
    REQUIRE(files.size() == 1);
    const std::string bytes = read_bytes(files[0]);
    CHECK(records_of(bytes).size() == 2 + lines.size());
    const auto pictures = pictures_of(bytes);
    REQUIRE(pictures.size() == 1);
    return pictures[0];
  };
  {
    EventFolder events(folder / "t", picture);
    events.write({});  // no epoch yet
    CHECK(files_in(folder / "t").empty());
    events.write({lines[0]});
    events.write(lines);
  }
  const test::PictureEvent written = the_picture();
  CHECK(written.step == 0);
  CHECK(written.tag == "views");
  CHECK(written.height == 13);
  CHECK(written.width == 29);
  CHECK(written.colorspace == 3);
  CHECK(written.encoded == jpeg);
  CHECK(written.description == begins + "\n\n    a\\tb\\x1b\xef\xbf\xbd\n");
  const fs::path file = files_in(folder / "t")[0];
  const std::string whole = read_bytes(file);
  write_bytes(file, whole.substr(0, whole.size() - 9));
  EventFolder resumed(folder / "t", picture);
  resumed.write(lines);
  CHECK(the_picture().encoded == jpeg);
  lines.push_back(line_of(3, 0.5));
  resumed.write(lines);
  CHECK(the_picture().encoded == jpeg);
}

TEST_CASE("events: a picture that is drawn after the first epochs, or drawn anew, is in the file from then on" *
          doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  const fs::path picture = folder / "views.jpg";
  std::vector<nlohmann::json> lines = {line_of(1, 2)};
  EventFolder events(folder / "t", picture);
  const auto check_shown = [&](const std::vector<std::string>& jpegs) {
    events.write(lines);
    const auto files = files_in(folder / "t");
    REQUIRE(files.size() == 1);
    const std::string bytes = read_bytes(files[0]);
    CHECK(records_of(bytes).size() == 1 + jpegs.size() + lines.size());
    std::vector<std::string> shown;
    for (const test::PictureEvent& each : pictures_of(bytes)) shown.push_back(each.encoded);
    CHECK(shown == jpegs);
    return files[0];
  };
  const std::string first = with_text(jpeg_of(13, 29), std::string(views_sheet_begins) + "1");
  const std::string second = with_text(jpeg_of(13, 29), std::string(views_sheet_begins) + "2");
  check_shown({});
  write_bytes(picture, first);
  check_shown({first});  // of the same epochs
  fs::remove(picture);
  const fs::path file = check_shown({first});
  lines.push_back(line_of(2, 1));
  CHECK(check_shown({first}) == file);  // an epoch was appended
  write_bytes(picture, second);
  lines.push_back(line_of(3, 0.5));
  check_shown({second});
  lines.push_back(line_of(4, 0.25));
  check_shown({second});
}

TEST_CASE("events: what is no picture in its place is left out, and the epochs are there" *
          doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  const fs::path picture = folder / "views.jpg";
  const auto check_none = [&](const std::string& name) {
    CAPTURE(name);
    EventFolder events(folder / name, picture);
    events.write({line_of(1, 2)});
    REQUIRE(files_in(folder / name).size() == 1);
    const std::string bytes = read_bytes(files_in(folder / name)[0]);
    CHECK(records_of(bytes).size() == 2);
    CHECK(pictures_of(bytes).empty());
  };
  check_none("none");
  fs::create_directory(picture);
  check_none("folder");
  fs::remove(picture);
  REQUIRE(::mkfifo(picture.c_str(), 0600) == 0);  // to open it would wait
  check_none("pipe");
  fs::remove(picture);
  write_bytes(folder / "elsewhere.jpg", jpeg_of(4, 4));
  fs::create_symlink(folder / "elsewhere.jpg", picture);
  check_none("link");
  fs::remove(picture);
  write_bytes(picture, "the user's");
  check_none("text");
  write_bytes(picture, with_text(jpeg_of(4, 4), "the user's own picture"));
  check_none("picture");
}

TEST_CASE("metrics as CSV: a column for every number that any epoch has") {
  nlohmann::json first = line_of(1, 0.5);
  first["features"].erase("uniformity");
  CHECK(metrics_as_csv({first, line_of(2, 0.25)}) ==
        "epoch,time,features/uniformity,loss\n"
        "1,2026-01-02T03:04:05Z,,0.5\n"
        "2,2026-01-02T03:04:05Z,-0.5,0.25\n");
  CHECK(metrics_as_csv({}) == "epoch,time\n");
}

}  // namespace
}  // namespace kindred
