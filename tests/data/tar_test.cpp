#include "tar_writer.h"
#include "test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/tar.h>

#include <cstdlib>

using namespace kindred;
using namespace kindred::test;

namespace {

std::vector<TarMember> members_of(const std::string& archive) {
  const Bytes bytes = as_bytes(archive);
  const MemoryReader memory(bytes);
  TarReader tar(memory, "x.tar");
  std::vector<TarMember> members;
  for (TarMember member; tar.next(member);) members.push_back(member);
  return members;
}

std::string tar_error(const std::string& archive) {
  return error_of([&] { members_of(archive); });
}

std::string jpeg(int phase) {
  const Bytes bytes = encode_jpeg(smooth_image(20, 23, phase), 90);
  return std::string(bytes.begin(), bytes.end());
}

std::string error_of_set(const TempFolder& folder, Split split = Split::train) {
  return error_of([&] { open_dataset(folder.string(), split); });
}

}  // namespace

TEST_CASE("tar: ustar, prefixes, pax and GNU's long names") {
  TarWriter tar;
  const std::string long_name = std::string(150, 'd') + "/" + std::string(120, 'n') + ".jpg";
  tar.add("folder/", "", '5');
  tar.add("a.jpg", "12345");
  tar.add("global", TarWriter::pax_record("comment", "x"), 'g');
  tar.add_prefixed("some/where", "b.jpg", std::string(513, 'b'));
  tar.add_pax(long_name, "pax data");
  tar.add_gnu(long_name, "gnu data");
  tar.add("empty.jpg", "");
  tar.add("link.jpg", "", '2');
  const std::string archive = tar.finish();
  const auto members = members_of(archive);
  REQUIRE(members.size() == 7);
  const auto text = [&](const TarMember& m) { return archive.substr(m.offset, m.bytes); };
  CHECK(members[0].kind == TarKind::folder);
  CHECK(members[1].name == "a.jpg");
  CHECK(text(members[1]) == "12345");
  CHECK(members[2].name == "some/where/b.jpg");
  CHECK(text(members[2]) == std::string(513, 'b'));
  CHECK(members[3].name == long_name);
  CHECK(text(members[3]) == "pax data");
  CHECK(members[4].name == long_name);
  CHECK(text(members[4]) == "gnu data");
  CHECK(members[5].bytes == 0);
  CHECK(members[6].kind == TarKind::link);
}

TEST_CASE("tar: the system's own tar writes what is read here") {
  const TempFolder folder;
  const std::string deep = "train/" + std::string(90, 'x') + "/" + std::string(90, 'y');
  folder.write(deep + "/1.jpg", {1, 2, 3});
  folder.write("train/2.jpg", Bytes(1000, 7));
  for (const std::string format : {"ustar", "pax", "gnu"}) {
    const std::string out = folder.string() + "/" + format + ".tar";
    REQUIRE(std::system(
                ("tar --format=" + format + " -C " + folder.string() + " -cf " + out + " train").c_str()) == 0);
    const FileReader file(out);
    TarReader tar(file, out);
    std::uint64_t total = 0;
    bool found = false;
    for (TarMember member; tar.next(member);) {
      total += member.bytes;
      found |= member.name == deep + "/1.jpg";
    }
    CHECK(total == 1003);
    CHECK(found);
  }
}

TEST_CASE("tar: archives that lie or were cut are refused, with the place") {
  TarWriter good;
  good.add("a.jpg", std::string(600, 'a'));
  good.add("b.jpg", "b");
  const std::string archive = good.finish();
  CHECK(tar_error(archive) == "no error");
  for (const std::size_t at : {std::size_t{0}, std::size_t{130}, std::size_t{1536}}) {
    std::string flipped = archive;
    flipped[at] ^= 1;
    CHECK(contains(tar_error(flipped),
                   fmt::format("x.tar: byte {}: a header with a wrong checksum", at / 512 * 512)));
  }
  CHECK(contains(tar_error(archive.substr(0, 900)), "should have 600 bytes, more than are left"));
  CHECK(contains(tar_error(archive.substr(0, 1536)), "the end mark is missing"));
  CHECK(contains(tar_error(good.unfinished()), "the end mark is missing"));
  CHECK(contains(tar_error(""), "the end mark is missing"));
  CHECK(contains(tar_error(archive + archive), "data after the end mark"));
  CHECK(contains(tar_error(std::string(2048, 'z')), "wrong checksum"));
  TarWriter sparse, pax, huge;
  sparse.add("s.jpg", "", 'S');
  CHECK(contains(tar_error(sparse.finish()), "sparse"));
  pax.add("p", "999 path=x\n", 'x');
  CHECK(contains(tar_error(pax.finish()), "pax header"));
  huge.add("h", "", '0', 077777777777);
  CHECK(contains(tar_error(huge.finish()), "more than are left"));
}

TEST_CASE("shards: numbers, names and json; splits by name; the same pictures as the members") {
  const TempFolder folder;
  TarWriter first, second, validation;
  first.add("0001.jpg", jpeg(1));
  first.add("0001.cls", "1\n");
  first.add("._0001.jpg", "left by macOS");
  first.add("0002.jpg", jpeg(2));
  first.add("0002.json", "{\"label\": 0, \"caption\": \"x\"}");
  first.add("0002.txt", "a caption");
  second.add("sub/0003.cls.txt", " 3 ");
  second.add("sub/0003.jpg", jpeg(3));
  validation.add("0004.jpg", jpeg(4));
  validation.add("0004.cls", "2");
  folder.write("set-train-001.tar", as_bytes(second.finish()));
  folder.write("set-train-000.tar", as_bytes(first.finish()));
  folder.write("set-val-000.tar", as_bytes(validation.finish()));
  const Dataset train = *open_dataset(folder.string(), Split::train);
  CHECK(train.labels() == std::vector<std::int32_t>{1, 0, 3});
  CHECK(train.class_names() == std::vector<std::string>{"0", "1", "2", "3"});
  CHECK(train.name(2) == folder.string() + "/set-train-001.tar, member sub/0003.jpg");
  const std::string encoded = jpeg(3);
  CHECK(train.load(2).image.pixels == decode_image(as_bytes(encoded)).image.pixels);
  const Dataset held = *open_dataset(folder.string(), Split::evaluation);
  CHECK(held.labels() == std::vector<std::int32_t>{2});
  folder.write("classes.txt", as_bytes("ant\nbee\ncat\ndog\n"));
  CHECK(open_dataset(folder.string(), Split::evaluation)->class_names()[2] == "cat");
  folder.write("classes.txt", as_bytes("ant\nbee\n"));
  CHECK(contains(error_of_set(folder), "has class '3'; expected a number from 0 to 1"));
}

TEST_CASE("shards: names as labels, in folders of their own") {
  const TempFolder folder;
  TarWriter train, validation;
  train.add("a.jpg", jpeg(1));
  train.add("a.cls", "zebra");
  train.add("b.png", "no png");
  train.add("b.cls", "antelope");
  validation.add("c.jpg", jpeg(2));
  validation.add("c.cls", "zebra");
  folder.write("train/0.tar", as_bytes(train.finish()));
  CHECK(!open_dataset(folder.string(), Split::evaluation).has_value());
  folder.write("val/0.tar", as_bytes(validation.finish()));
  const Dataset set = *open_dataset(folder.string(), Split::train);
  CHECK(set.class_names() == std::vector<std::string>{"antelope", "zebra"});
  CHECK(set.labels() == std::vector<std::int32_t>{1, 0});
  CHECK(set.load(1).outcome == Outcome::rejected);
  CHECK(open_dataset(folder.string(), Split::evaluation)->labels() == std::vector<std::int32_t>{1});
  std::filesystem::remove(folder.path() / "train/0.tar");
  CHECK(contains(set.load(0).reason, "cannot be opened"));  // it vanished after the set was opened
}

TEST_CASE("shards: compressed ones are named by their compression, with what to do") {
  const TempFolder folder;
  TarWriter tar;
  tar.add("a.jpg", jpeg(1));
  tar.add("a.cls", "1");
  const Bytes plain = as_bytes(tar.finish());
  const auto error = [&](const std::string& below) {
    std::string message = error_of([&] { open_dataset(folder.string() + below, Split::train); });
    for (std::size_t at = 0; (at = message.find(folder.string(), at)) != std::string::npos;)
      message.replace(at, folder.string().size(), "DIR");
    return message;
  };
  for (const char* name :
       {"flat/0.tar.gz", "flat/1.TGZ", "split/train/0.tar.xz", "beside/0.tar.zst", "beside/1.tgz"})
    folder.write(name, {0x1F, 0x8B, 8, 0});
  CHECK(error("/flat") ==
        "DIR/flat: 2 tar archives are compressed with gzip, such as '0.tar.gz', and shards must be plain tar "
        "files: "
        "gunzip them; unpack an archive of folders with images by tar -xf, and give the folder");
  CHECK(error("/split") ==
        "DIR/split/train: 1 tar archive is compressed with xz, such as '0.tar.xz', and shards must "
        "be plain tar files: unxz it");
  // Beside plain ones they are left out.
  folder.write("beside/2.tar", plain);
  const Dataset set = *open_dataset(folder.string() + "/beside", Split::train);
  CHECK(set.size() == 1);
  CHECK(set.notes() ==
        std::vector<std::string>{
            "warning: " + folder.string() +
            "/beside: left out: 2 tar archives are compressed with zstd, such as '0.tar.zst', and shards "
            "must be plain tar files: unzstd them"});
  // The content decides what a file is that is called .tar.
  folder.write("renamed/0.tar", {0x1F, 0x8B, 8, 0});
  CHECK(error("/renamed") ==
        "DIR/renamed/0.tar: it is compressed with gzip, and shards must be plain tar files: add .gz "
        "to its name, and gunzip it");
  folder.write("plain/0.tar", plain);
  CHECK(open_dataset(folder.string() + "/plain", Split::train)->notes().empty());
}

TEST_CASE("shards: samples that lack something, links, and names that say nothing") {
  const auto error = [](auto fill) {
    const TempFolder folder;
    TarWriter tar;
    fill(tar);
    folder.write("0.tar", as_bytes(tar.finish()));
    return error_of_set(folder);
  };
  CHECK(contains(error([](TarWriter& t) { t.add("a.jpg", jpeg(1)); }), "sample 'a' has no label"));
  CHECK(contains(error([](TarWriter& t) { t.add("a.cls", "1"); }), "has a label and no image"));
  CHECK(contains(error([](TarWriter& t) { t.add("a.jpg", "", '2'); }), "'a.jpg' is a link"));
  CHECK(contains(error([](TarWriter& t) {
                   t.add("a.jpg", "1");
                   t.add("a.png", "2");
                 }),
                 "has two images"));
  CHECK(contains(error([](TarWriter&) {}), "no images in its shards"));
  const TempFolder folder;
  TarWriter tar;
  tar.add("a.jpg", jpeg(1));
  tar.add("a.cls", "1");
  folder.write("train-0.tar", as_bytes(tar.finish()));
  CHECK(error_of_set(folder) == "no error");
  folder.write("more.tar", as_bytes(tar.finish()));
  CHECK(contains(error_of_set(folder), "the split of more.tar is unclear"));
}
