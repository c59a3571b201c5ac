#include <doctest/doctest.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/engine/files/safetensors_header.h>
#include <kindred/engine/random/philox.h>

#include "temporary_folder.h"

#include <sys/stat.h>  // defines: mkfifo

#include <cmath>
#include <cstring>

namespace kindred {
namespace {

using namespace std::string_literals;
using Floats = std::vector<float>;
using Extents = std::vector<std::int64_t>;

// A file from its parts. `length`: the length that it claims for its header, if that is wrong.
std::string file_of(const std::string& header, const std::string& data, std::int64_t length = -1) {
  const std::uint64_t claimed = length < 0 ? header.size() : static_cast<std::uint64_t>(length);
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &claimed, 8);
  return bytes + header + data;
}

// Opens and reads everything. Returns the message of the Error, or "".
std::string complaint(const std::filesystem::path& path) {
  try {
    const SafetensorsFile file(path);
    for (const SafetensorsEntry& entry : file.entries()) file.read<float>(entry);
    return "";
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::file);
    const std::string message = error.what();
    CHECK(message.find('\n') == message.npos);
    CHECK(message.find(path.filename().string()) != message.npos);
    return message;
  }
}

std::string complaint_about(const std::string& bytes) {
  static const TemporaryFolder folder;
  write_bytes(folder / "hostile.safetensors", bytes);
  return complaint(folder / "hostile.safetensors");
}

std::string one_tensor(const std::string& fields, std::size_t data_bytes = 8) {
  return file_of("{\"a\":{" + fields + "}}", std::string(data_bytes, 'x'));
}

// The Python package (0.8.0) wrote this for: fc.weight [[1, -2.5], [3e-5, 7]] f32, bn.num_batches_tracked 42
// i64, half [1.5, -0, 6e-8, 65504] f16, u [1, 2, 255] u8, none [0, 3] f32.
const std::string python_file =
    file_of(R"({"__metadata__":{"format":"pt","who":"é"},"bn.num_batches_tracked":{"dtype":"I64","shape":[],)"
            R"("data_offsets":[0,8]},)"
            R"("fc.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]},)"
            R"("none":{"dtype":"F32","shape":[0,3],"data_offsets":[24,24]},)"
            R"("half":{"dtype":"F16","shape":[4],"data_offsets":[24,32]},)"
            R"("u":{"dtype":"U8","shape":[3],"data_offsets":[32,35]}})",
            "*\0\0\0\0\0\0\0\0\0\x80?\0\0 \xc0\x82\xa8\xfb"
            "7\0\0\xe0@\0>\0\x80\x01\0\xff{\x01\x02\xff"s);

TEST_CASE("safetensors: reads what the official library writes") {
  const TemporaryFolder folder;
  write_bytes(folder / "f", python_file);
  const SafetensorsFile file(folder / "f");
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}, {"who", "é"}});
  CHECK(file.entries().size() == 5);
  CHECK(file.at("fc.weight").dtype == "F32");
  CHECK(file.at("fc.weight").shape == Extents{2, 2});
  CHECK(file.read<float>(file.at("fc.weight")) == Floats{1, -2.5f, 3e-5f, 7});
  CHECK(file.read<double>(file.at("fc.weight"))[2] == double(3e-5f));
  CHECK(file.at("bn.num_batches_tracked").shape.empty());
  CHECK(file.read<std::int64_t>(file.at("bn.num_batches_tracked")) == std::vector<std::int64_t>{42});
  const Floats half = file.read<float>(file.at("half"));
  CHECK(half == Floats{1.5f, -0.0f, 0x1p-24f, 65504});  // 6e-8 became the smallest half
  CHECK(std::signbit(half[1]));
  CHECK(file.read<std::int32_t>(file.at("u")) == std::vector<std::int32_t>{1, 2, 255});
  CHECK(file.read<float>(file.at("none")).empty());
  CHECK(file.find("fc.bias") == nullptr);
  CHECK_THROWS_AS(file.at("fc.bias"), Error);
  CHECK_THROWS_AS(file.read<std::int32_t>(file.at("fc.weight")), Error);  // floats are no integers
}

TEST_CASE("safetensors: tensors read into tensors, with their shape checked") {
  const TemporaryFolder folder;
  write_bytes(folder / "f", python_file);
  const SafetensorsFile file(folder / "f");
  for (const DType type : {DType::f32, DType::f64, DType::bf16}) {
    Tensor weight = Tensor::zeros({2, 2}, type, Device::cpu);
    file.read_into(file.at("fc.weight"), weight);
    CHECK(weight.to_vector<float>()[1] == -2.5f);
  }
  Tensor wrong = Tensor::zeros({4}, DType::f32, Device::cpu);
  try {
    file.read_into(file.at("fc.weight"), wrong);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("\"fc.weight\" has the shape [2, 2], expected [4]") !=
          std::string::npos);
  }
}

TEST_CASE("safetensors: what is written is read back, and is the same bytes every time") {
  const TemporaryFolder folder;
  const Floats values{1, -2, 3.25f, 0, std::ldexp(1.0f, -140), 1e30f};
  const Tensor weight = Tensor::from(values, {2, 3}, Device::cpu);
  const auto add_all = [&](SafetensorsWriter& writer, bool backwards) {
    const std::function<void()> calls[] = {
        [&] { writer.add("w", weight); },
        [&] { writer.add("w.bf16", weight.to(Device::cpu, DType::bf16)); },
        [&] { writer.add("w.f64", weight.to(Device::reference, DType::f64)); },
        [&] {
          writer.add("made \"later\"\n", DType::f32, {3, 2}, [&] { return weight.reshape({3, 2}); });
        },
        [&] { writer.add("u", Tensor::full({3}, 200, DType::u8, Device::cpu)); },
        [&] { writer.add("i", Tensor::full({}, -7, DType::i32, Device::cpu)); },
        [&] { writer.add("empty", Tensor::zeros({0}, DType::f32, Device::cpu)); },
        [&] { writer.add_i64("count", {}, {std::int64_t{1} << 40}); },
        [&] {
          writer.add_i64("five.axes", {1, 1, 2, 1, 1}, {5, -6});
        },
        [&] {
          writer.set_metadata("model", "resnet50");
          writer.set_metadata("note", "a \"quote\" and é\n");
        }};
    for (std::size_t i = 0; i < std::size(calls); ++i) calls[backwards ? std::size(calls) - 1 - i : i]();
  };
  SafetensorsWriter one, other;
  add_all(one, false);
  add_all(other, true);
  one.write(folder / "one");
  other.write(folder / "other");
  CHECK(read_bytes(folder / "one") == read_bytes(folder / "other"));

  const SafetensorsFile file(folder / "one");
  CHECK(file.entries().size() == 9);
  CHECK(file.metadata().at("note") == "a \"quote\" and é\n");
  CHECK(file.read<float>(file.at("w")) == values);
  CHECK(file.read<double>(file.at("w.f64"))[5] == double(1e30f));
  CHECK(file.read<float>(file.at("w.bf16"))[2] == 3.25f);
  CHECK(file.at("made \"later\"\n").shape == Extents{3, 2});
  CHECK(file.read<float>(file.at("made \"later\"\n")) == values);
  CHECK(file.read<std::int32_t>(file.at("u"))[2] == 200);
  CHECK(file.read<std::int32_t>(file.at("i")) == std::vector<std::int32_t>{-7});
  CHECK(file.read<std::int64_t>(file.at("count"))[0] == std::int64_t{1} << 40);
  CHECK_THROWS_AS(file.read<std::int32_t>(file.at("count")), Error);  // does not fit
  CHECK(file.at("five.axes").shape == Extents{1, 1, 2, 1, 1});
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, read_bytes(folder / "one").data(), 8);
  CHECK(header_bytes % 8 == 0);
  for (const SafetensorsEntry& entry : file.entries())
    CHECK(entry.begin % safetensors_element_bytes(entry.dtype) == 0);
}

TEST_CASE("safetensors: writes the official library's bytes") {
  const TemporaryFolder folder;
  write_bytes(folder / "theirs", python_file);
  const SafetensorsFile file(folder / "theirs");
  const auto tensor = [&](const char* name, const Shape& shape, DType type) {
    Tensor read = Tensor::empty(shape, type, Device::cpu);
    file.read_into(file.at(name), read);
    return read;
  };
  const auto half_bits = [&] {
    Tensor bits = Tensor::empty({4}, DType::f16, Device::cpu);  // no arithmetic in f16: bytes by hand
    std::memcpy(bits.raw(), python_file.data() + python_file.size() - 11, 8);
    return bits;
  };
  SafetensorsWriter writer;
  writer.set_metadata("format", "pt");
  writer.set_metadata("who", "é");
  writer.add("u", tensor("u", {3}, DType::u8));
  writer.add("none", tensor("none", {0, 3}, DType::f32));
  writer.add("half", half_bits());
  writer.add("fc.weight", tensor("fc.weight", {2, 2}, DType::f32));
  writer.add_i64("bn.num_batches_tracked", {}, {42});
  writer.write(folder / "ours");
  CHECK(read_bytes(folder / "ours") == python_file);
}

TEST_CASE("safetensors: an empty file of its kind") {
  const TemporaryFolder folder;
  SafetensorsWriter().write(folder / "f");
  const SafetensorsFile file(folder / "f");
  CHECK(file.entries().empty());
  CHECK(file.metadata().empty());
}

TEST_CASE("safetensors: large tensors are read in pieces without loss") {
  const TemporaryFolder folder;
  std::vector<double> values(200'001);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.5 * static_cast<double>(i);
  SafetensorsWriter writer;
  writer.add("a", Tensor::from(values, {200'001}, Device::reference));
  writer.write(folder / "f");
  const SafetensorsFile file(folder / "f");
  const Floats read = file.read<float>(file.at("a"));
  bool same = read.size() == values.size();
  for (std::size_t i = 0; same && i < values.size(); ++i) same = double(read[i]) == values[i];
  CHECK(same);
}

TEST_CASE("safetensors: every half is converted right") {
  // Computed from the definition: sign, exponent, mantissa.
  const TemporaryFolder folder;
  std::string data(2 * 65536, '\0');
  for (std::uint32_t i = 0; i < 65536; ++i) std::memcpy(&data[2 * i], &i, 2);
  write_bytes(folder / "f",
              file_of(R"({"h":{"dtype":"F16","shape":[65536],"data_offsets":[0,131072]}})", data));
  const SafetensorsFile file(folder / "f");
  const Floats halves = file.read<float>(file.at("h"));
  int wrong = 0;
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const double mantissa = i & 1023, exponent = (i >> 10) & 31, sign = i >> 15 ? -1 : 1;
    const double expected =
        exponent == 0 ? sign * mantissa * 0x1p-24 : sign * (1 + mantissa / 1024) * std::exp2(exponent - 15);
    if (exponent == 31)
      wrong += mantissa == 0 ? halves[i] != sign * HUGE_VALF : !std::isnan(halves[i]);
    else
      wrong += double(halves[i]) != expected;
  }
  CHECK(wrong == 0);
}

TEST_CASE("safetensors: the writer refuses what would make a bad file") {
  const TemporaryFolder folder;
  const Tensor tensor = Tensor::zeros({2}, DType::f32, Device::cpu);
  SafetensorsWriter writer;
  writer.add("a", tensor);
  CHECK_THROWS_AS(writer.add("a", tensor), Error);
  CHECK_THROWS_AS(writer.add("__metadata__", tensor), Error);
  CHECK_THROWS_AS(writer.add_i64("b", {2}, {1}), Error);
  writer.add("c", DType::f32, {3}, [&] { return tensor; });  // announced with another shape
  CHECK_THROWS_AS(writer.write(folder / "f"), Error);
  SafetensorsWriter not_utf8;
  not_utf8.add("\xff", tensor);
  CHECK_THROWS_AS(not_utf8.write(folder / "f"), Error);
  CHECK(folder.file_count() == 0);
}

TEST_CASE("safetensors: each kind of damage is named") {
  struct Damage {
    std::string bytes, expected;
  };
  const std::string good = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  CHECK(complaint_about(one_tensor(good)) == "");
  const std::string b = R"("b":{"dtype":"F32","shape":[1],"data_offsets":)";
  const auto two = [&](const std::string& offsets) {
    return file_of("{\"a\":{" + good + "}," + b + offsets + "}}", std::string(12, 'x'));
  };
  CHECK(complaint_about(two("[8,12]")) == "");
  const Damage damages[] = {
      {"", "0 bytes"},
      {"1234567", "7 bytes"},
      {file_of("{}", "", 3), "announces a header of 3 bytes and has 10 in all"},
      {file_of("{}", "", 100'000'001), "more than the 100000000"},
      {file_of("{}", "", INT64_MAX), "more than the 100000000"},
      {file_of("", ""), "does not start with {"},
      {file_of(" {}", ""), "does not start with {"},
      {file_of("[]", ""), "does not start with {"},
      {file_of("{}\0 junk"s, ""), "zero byte"},
      {file_of("{} {}", ""), "not JSON"},
      {file_of("{", ""), "not JSON"},
      {file_of("{\"\xff\":{}}", ""), "not JSON in UTF-8"},
      {file_of("{}", "x"), "1 bytes at its end belong to no tensor"},
      {file_of("{\"a\":1}", ""), "a number where the format has none"},
      {file_of("{\"a\":null}", ""), "null where"},
      {file_of("{\"a\":[]}", ""), "a list where"},
      {file_of("{\"a\":{}}", ""), "lacks one of"},
      {file_of("{\"__metadata__\":{\"k\":1}}", ""), "a number where"},
      {file_of("{\"__metadata__\":{\"k\":{}}}", ""), "an object where"},
      {file_of(R"({"__metadata__":{"k":"1","k":"2"}})", ""), R"(metadata has "k" twice)"},
      {file_of("{\"__metadata__\":{},\"__metadata__\":{}}", ""), "twice"},
      {file_of("{\"a\":{" + good + "},\"a\":{" + good + "}}", std::string(8, 'x')), R"(lists "a" twice)"},
      {one_tensor(good + R"(,"dtype":"F32")"), "has dtype twice"},
      {one_tensor(good + R"(,"colour":"red")"), "unknown field"},
      {one_tensor(R"("dtype":"F99","shape":[2],"data_offsets":[0,8])"), "unknown element type \"F99\""},
      {one_tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"),
       "has 8 bytes, its shape and type need 12"},
      {one_tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), "a negative number"},
      {one_tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), "not a 64-bit integer"},
      {one_tensor(R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])"), "a list where"},
      {one_tensor(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8])"), "an axis of"},
      {one_tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])"), "impossibly large"},
      {one_tensor(R"("dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8])"), "impossibly large"},
      {one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), "truncated or damaged"},
      {one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,9])"), "more than 2"},
      {one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8])"), "1 data_offsets, not 2"},
      {one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615])"),
       "truncated or damaged"},
      {one_tensor(good, 7), "the data, which has 7"},
      {one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[4,12])", 12), "leaves a hole"},
      {two("[4,8]"), "overlaps"},
      {two("[0,4]"), "overlaps"},
      {one_tensor(R"("dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8])"), "save it as F32"},
      {one_tensor("\"dtype\":\"F32\",\"shape\":[" +
                      std::string(200, '1').replace(1, 199,
                                                    [] {
                                                      std::string ones;
                                                      while (ones.size() < 199) ones += ",1";
                                                      return ones;
                                                    }()) +
                      "],\"data_offsets\":[0,4]",
                  4),
       "more than 64 axes"},
  };
  for (const Damage& damage : damages) {
    const std::string message = complaint_about(damage.bytes);
    CAPTURE(damage.expected);
    CAPTURE(message);
    CHECK(message.find(damage.expected) != message.npos);
  }
}

TEST_CASE("safetensors: nesting, however deep, costs nothing") {
  for (const std::string& open : {"{\"a\":"s, "["s}) {
    std::string deep = "{\"a\":{\"shape\":";
    while (deep.size() < 5'000'000) deep += open;
    CHECK(complaint_about(file_of(deep, "")) != "");
    CHECK(complaint_about(file_of("{\"a\":" + deep, "")) != "");
  }
}

TEST_CASE("safetensors: a header made of small entries is stopped before it fills memory") {
  std::string many = "{";
  for (int i = 0; i < 300'000; ++i)
    many += fmt::format("\"{}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}},", i);
  many.back() = '}';
  CHECK(complaint_about(file_of(many, "")).find("more than 200000 tensors") != std::string::npos);
}

TEST_CASE("safetensors: what is no regular file") {
  const TemporaryFolder folder;
  CHECK(complaint(folder / "missing").find("cannot be opened: No such file") != std::string::npos);
  std::filesystem::create_directory(folder / "sub");
  CHECK(complaint(folder / "sub").find("is not a file") != std::string::npos);
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(complaint(folder / "fifo").find("is not a file") !=
        std::string::npos);  // the call does not wait for a writer
}

TEST_CASE("safetensors: a file that is cut while it is open") {
  const TemporaryFolder folder;
  write_bytes(folder / "f", python_file);
  const SafetensorsFile file(folder / "f");
  std::filesystem::resize_file(folder / "f", python_file.size() - 4);
  CHECK_THROWS_AS(file.read<float>(file.at("u")), Error);
}

TEST_CASE("safetensors: a file cut at any byte is refused") {
  for (std::size_t length = 0; length < python_file.size(); ++length) {
    CAPTURE(length);
    CHECK(complaint_about(python_file.substr(0, length)) != "");
  }
  CHECK(complaint_about(python_file) == "");
  CHECK(complaint_about(python_file + "x") != "");
}

// The result must be a value or an Error; the sanitizers check the rest.
TEST_CASE("safetensors: a file with any byte changed is read or refused") {
  for (std::size_t at = 0; at < python_file.size(); ++at)
    for (const unsigned flip : {1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u, 255u}) {
      std::string bytes = python_file;
      bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ flip);
      complaint_about(bytes);
    }
  // The header with every value of every byte, and with two bytes changed at random.
  const std::string header = python_file.substr(8, python_file.size() - 8 - 35);
  const auto parse = [](const std::string& json) {
    try {
      parse_safetensors_header("f", json, 35);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  CHECK(parse(header));
  int accepted = 0;
  for (std::size_t at = 0; at < header.size(); ++at)
    for (int value = 0; value < 256; ++value) {
      std::string changed = header;
      changed[at] = static_cast<char>(value);
      accepted += parse(changed);
    }
  CHECK(accepted > 0);  // for example letters of names
  RandomStream random(1, Purpose::test);
  for (int i = 0; i < 20'000; ++i) {
    std::string changed = header;
    for (int j = 0; j < 2; ++j)
      changed[random.below(static_cast<std::uint32_t>(header.size()))] = static_cast<char>(random.below(256));
    parse(changed);
  }
}

}  // namespace
}  // namespace kindred
