// Reading files of events by plain loops: the records of a file, and the fields of a message of protobuf.
#pragma once

#include <kindred/apps/metrics/event_folder.h>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace kindred::test {

// The data of each record of a file, whose checksums must be right.
inline std::vector<std::string> records_of(const std::string& bytes) {
  std::vector<std::string> records;
  std::size_t at = 0;
  while (at < bytes.size()) {
    std::uint64_t length = 0;
    REQUIRE(at + 12 <= bytes.size());
    std::memcpy(&length, bytes.data() + at, sizeof(length));
    REQUIRE(at + 16 + length <= bytes.size());
    records.push_back(bytes.substr(at + 12, length));
    CHECK(bytes.substr(at, 16 + length) == framed(records.back()));
    at += 16 + length;
  }
  return records;
}

// By the number of a field its values, in order: integers as they are, all others as their bytes.
struct Message {
  std::map<int, std::vector<std::uint64_t>> integers;
  std::map<int, std::vector<std::string>> texts;

  explicit Message(const std::string& bytes) {
    std::size_t at = 0;
    const auto integer = [&] {
      std::uint64_t value = 0;
      for (int shift = 0;; shift += 7) {
        REQUIRE(at < bytes.size());
        const auto byte = static_cast<unsigned char>(bytes[at++]);
        value |= static_cast<std::uint64_t>(byte & 127) << shift;
        if (byte < 128) return value;
      }
    };
    while (at < bytes.size()) {
      const std::uint64_t key = integer(), kind = key & 7;
      const int number = static_cast<int>(key >> 3);
      if (kind == 0) {
        integers[number].push_back(integer());
        continue;
      }
      REQUIRE((kind == 1 || kind == 2 || kind == 5));
      const std::uint64_t length = kind == 2 ? integer() : kind == 1 ? 8 : 4;
      REQUIRE(at + length <= bytes.size());
      texts[number].push_back(bytes.substr(at, length));
      at += length;
    }
  }
  // Of a field that must be there once.
  std::string text(int number) const {
    REQUIRE(texts.count(number) == 1);
    REQUIRE(texts.at(number).size() == 1);
    return texts.at(number)[0];
  }
  std::uint64_t integer(int number) const {
    REQUIRE(integers.count(number) == 1);
    return integers.at(number).back();
  }
};

// A picture of an event, by the field numbers of TensorFlow's event.proto and summary.proto.
struct PictureEvent {
  std::int64_t step = 0;
  std::string tag, description, encoded;
  std::uint64_t height = 0, width = 0, colorspace = 0;
};
inline std::vector<PictureEvent> pictures_of(const std::string& file) {
  std::vector<PictureEvent> pictures;
  for (const std::string& record : records_of(file)) {
    const Message event(record);
    if (event.texts.count(5) == 0) continue;
    const Message summary(event.text(5));
    for (const std::string& bytes : summary.texts.at(1)) {
      const Message value(bytes);
      if (value.texts.count(4) == 0) continue;
      const Message image(value.text(4));
      PictureEvent picture;
      if (event.integers.count(2) != 0) picture.step = static_cast<std::int64_t>(event.integer(2));
      picture.tag = value.text(1);
      if (value.texts.count(9) != 0) picture.description = Message(value.text(9)).text(3);
      picture.height = image.integer(1);
      picture.width = image.integer(2);
      picture.colorspace = image.integer(3);
      picture.encoded = image.text(4);
      pictures.push_back(picture);
    }
  }
  return pictures;
}

}  // namespace kindred::test
