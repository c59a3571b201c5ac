// Shards that are given one by one: their names, the commands that write them, and the folder that keeps what they wrote.
#include "../tar_writer.h"
#include "../test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/files/command.h>
#include <kindred/data/files/file.h>
#include <kindred/data/files/file_lock.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/fingerprint.h>
#include <kindred/data/sets/shards/fetch_shards.h>
#include <kindred/data/sets/shards/shard_list.h>

#include <unistd.h>  // defines: geteuid, getpid

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

using namespace kindred;
using namespace kindred::test;

namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

// Three images of the classes 0, 1 and `last`.
Bytes small_shard(int phase, int last = 1) {
  TarWriter tar;
  for (int i = 0; i < 3; ++i) {
    const Bytes picture = encode_jpeg(smooth_image(12, 14, 3 * phase + i), 90);
    tar.add(fmt::format("part/{}{}.jpg", phase, i), std::string(picture.begin(), picture.end()));
    tar.add(fmt::format("part/{}{}.cls", phase, i), fmt::format("{}", i < 2 ? i : last));
  }
  return as_bytes(tar.finish());
}

// A folder with x-0.tar to x-2.tar, and with what the tests' commands leave.
struct Shelf {
  TempFolder folder;

  Shelf() {
    for (int i = 0; i < 3; ++i) folder.write(fmt::format("x-{}.tar", i), small_shard(i));
  }
  std::string at(const std::string& name) const { return (folder.path() / name).string(); }
  std::string content(const std::string& name) const {
    const FileContent file = read_file(at(name), 1 << 20);
    return std::string(file.bytes.begin(), file.bytes.end());
  }
};

ShardRequest request_for(const Texts& training, const std::string& cache = {}) {
  ShardRequest request{training, {}, cache};
  request.first_wait_seconds = 0.001;
  return request;
}

Dataset opened(const ShardRequest& request, Split split = Split::train) {
  DatasetOptions options;
  options.shards = fetch_shards(request);
  options.val_fraction = 0;
  return *open_dataset("shards", split, options);
}

std::string fetch_error(const ShardRequest& request) {
  return error_of([&] { fetch_shards(request); });
}

CommandOutcome outcome_of(const std::string& command, double silent_seconds = 20) {
  return run_command(command, [](std::span<const std::uint8_t>) { return std::string(); },
                     {silent_seconds, {}});
}

// How many folders for shards of this user are in the folder for temporary files.
std::vector<fs::path> temporary_folders() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(fs::temp_directory_path()))
    if (entry.path().filename().string().starts_with("kindred-shards-")) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

TEST_CASE("given shards: ranges and choices are those of the shell") {
  CHECK(expand_braces("x.tar") == Texts{"x.tar"});
  CHECK(expand_braces("x-{008..011}.tar") == Texts{"x-008.tar", "x-009.tar", "x-010.tar", "x-011.tar"});
  CHECK(expand_braces("{9..11}") == Texts{"9", "10", "11"});
  CHECK(expand_braces("{2..0}") == Texts{"2", "1", "0"});
  CHECK(expand_braces("{0..10..4}") == Texts{"0", "4", "8"});
  CHECK(expand_braces("{a..c}") == Texts{"a", "b", "c"});
  CHECK(expand_braces("{left,right}-{0..1}") == Texts{"left-0", "left-1", "right-0", "right-1"});
  // Numbers up to 2^60, whose differences have no overflow.
  CHECK(expand_braces("{1152921504606846976..1152921504606846976}") == Texts{"1152921504606846976"});
  CHECK(expand_braces("{-1152921504606846976..-1152921504606846976}") == Texts{"-1152921504606846976"});
  CHECK(expand_braces("{0..1152921504606846977}") == Texts{"{0..1152921504606846977}"});
  CHECK(expand_braces("{x{1..2}") == Texts{"{x1", "{x2"});
  for (const std::string plain : {"${1..3}", "\\{1..3}", "{}", "{1}", "{1..}", "{a..3}", "awk '{print $1, $2}'",
                                  R"({"a":1,"b":2})", "{1..2"})
    CHECK(expand_braces(plain) == Texts{plain});
  CHECK(contains(error_of([] { expand_braces("{0..1000000}"); }), "means more than 1000000 shards"));
  CHECK(contains(error_of([] { expand_braces("{0..999}{0..999}{0..9}"); }), "means more than 1000000 shards"));
}

TEST_CASE("given shards: what a shard is called depends on neither folder nor command") {
  const auto called = [](const Texts& texts) {
    Texts names;
    for (const ShardSpec& shard : shards_named(texts)) names.push_back(shard.called);
    return names;
  };
  CHECK(called({"/data/x-7.tar", "x-8.tar"}) == Texts{"x-7.tar", "x-8.tar"});
  CHECK(called({"pipe:curl -sf 'https://host/deep/x-{7..8}.tar?key=a/b.c' | cat"}) ==
        Texts{"x-7.tar", "x-8.tar"});
  CHECK(called({"pipe:zcat y.tar.gz", "pipe:make_shard 4", "pipe:other y.tar"}) ==
        Texts{"y.tar", "shard-000001.tar", "shard-000002.tar"});
  CHECK(contains(error_of([] { shards_named({"x-{1..3}.tar", "x-2.tar"}); }), "x-2.tar: is named twice"));
  CHECK(contains(error_of([] { shards_named({"pipe: "}); }), "pipe: without a command"));
  CHECK(contains(error_of([] { shards_named({""}); }), "name is empty"));
}

TEST_CASE("given shards: a command's output, its end and its last words are told apart") {
  std::string text;
  const auto append = [&](std::span<const std::uint8_t> bytes) {
    text.append(bytes.begin(), bytes.end());
    return std::string();
  };
  const CommandOutcome good = run_command("printf 'a%sb' \"$(cat)\"; echo words >&2", append, {20, {}});
  CHECK(good.ok());
  CHECK(text == "ab");  // nothing is on its standard input
  CHECK(good.bytes == 2);
  CHECK(good.last_line == "words");
  const CommandOutcome failed = outcome_of("echo first >&2; echo 'the last one' >&2; exit 22");
  CHECK(!failed.ok());
  CHECK(failed.in_words(20) == "exit code 22, and its last words were: the last one");
  CHECK(outcome_of("kill -9 $$").in_words(20) == "signal 9, Killed");
  CHECK(outcome_of("sh -c 'kill -15 $$' 2>&-; exit $?")
            .in_words(20)
            .starts_with("exit code 143 (signal 15, Terminated)"));
  const auto start = std::chrono::steady_clock::now();
  CHECK(outcome_of("printf x; sleep 100 | cat", 0.3).in_words(0.3) == "it wrote nothing for 0.3 s");
  CHECK(outcome_of("exec 1>&-; sleep 100", 0.3).ending == CommandOutcome::Ending::silent);
  CHECK(outcome_of("trap '' TERM; while :; do sleep 100; done", 0.3).ending == CommandOutcome::Ending::silent);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  // A command that writes slowly is not silent.
  CHECK(outcome_of("for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done", 0.4).ok());
  const CommandOutcome refused = run_command(
      "cat /dev/zero", [](std::span<const std::uint8_t>) { return std::string("no room"); }, {20, {}});
  CHECK(refused.ending == CommandOutcome::Ending::refused);
  CHECK(refused.in_words(20) == "no room");
}

TEST_CASE("given shards: files, commands and folders give the same images, wherever the cache lies") {
  const Shelf shelf;
  const TempFolder cache, other;
  const Dataset files = opened(request_for({shelf.at("x-{0..2}.tar")}));
  CHECK(files.size() == 9);
  CHECK(files.labels() == std::vector<std::int32_t>{0, 1, 1, 0, 1, 1, 0, 1, 1});
  CHECK(files.name(4) == shelf.at("x-1.tar") + ", member part/11.jpg");
  const std::string fingerprint = data_fingerprint(files);
  CHECK(fingerprint == data_fingerprint(*open_dataset(shelf.folder.string(), Split::train)));
  for (const std::string& folder : {cache.string(), other.string() + "/new/one", std::string()}) {
    const std::string pipe = "pipe:cat " + shelf.at("x-{0..2}.tar");
    const Dataset set = opened(request_for({pipe}, folder));
    CHECK(set.name(4) == "pipe:cat " + shelf.at("x-1.tar") + ", member part/11.jpg");
    CHECK(data_fingerprint(set) == fingerprint);
    for (std::int64_t i = 0; i < files.size(); ++i)
      CHECK(set.load(i).image.pixels == files.load(i).image.pixels);
  }
  // Another order is another set.
  CHECK(data_fingerprint(opened(request_for({shelf.at("x-{2..0}.tar")}))) != fingerprint);
}

TEST_CASE("given shards: those for evaluation are val, and without them a share is held out") {
  const Shelf shelf;
  ShardRequest request = request_for({shelf.at("x-{0..1}.tar")});
  request.evaluation = {"pipe:cat " + shelf.at("x-2.tar")};
  DatasetOptions options;
  options.shards = fetch_shards(request);
  const auto train = open_dataset("S", Split::train, options),
             val = open_dataset("S", Split::evaluation, options);
  REQUIRE(train.has_value());
  REQUIRE(val.has_value());
  CHECK(train->size() == 6);
  CHECK(val->size() == 3);
  CHECK(val->origin().part == "val");
  CHECK(val->origin().folder == "pipe:cat " + shelf.at("x-2.tar"));
  CHECK(train->origin().folder == "S");
  CHECK(open_dataset("S", Split::val, options)->size() == 3);
  CHECK(!open_dataset("S", Split::test, options).has_value());
  options.shards = fetch_shards(request_for({shelf.at("x-{0..2}.tar")}));
  options.val_fraction = 0.34;
  CHECK(open_dataset("S", Split::train, options)->size() +
            open_dataset("S", Split::evaluation, options)->size() ==
        9);
  options.val_fraction.reset();
  CHECK(
      contains(open_dataset("S", Split::train, options)->notes().at(0), "no shards for evaluation are given"));
  CHECK(open_dataset("S", Split::evaluation, options)->origin().part == "held out");
  CHECK(open_dataset("S", Split::evaluation, options)->origin().folder == "S");
  request.evaluation = {shelf.at("x-1.tar")};
  CHECK(contains(fetch_error(request), "x-1.tar: is named twice"));
}

TEST_CASE("given shards: a class list lies beside the first of them") {
  const Shelf shelf;
  shelf.folder.write("classes.txt", as_bytes("ant\nbee\n"));
  CHECK(opened(request_for({shelf.at("x-0.tar")})).class_names() == Texts{"ant", "bee"});
  CHECK(opened(request_for({"pipe:cat " + shelf.at("x-0.tar")})).class_names() == Texts{"0", "1"});
}

TEST_CASE("given shards: a folder keeps what was read, so each command runs once") {
  const Shelf shelf;
  const TempFolder cache;
  const ShardRequest request =
      request_for({fmt::format("pipe:echo {{0..2}} >> {}; cat {}", shelf.at("runs"), shelf.at("x-{0..2}.tar"))},
                  cache.string());
  // The two ranges stand for nine commands, of which this test needs the first.
  const ShardRequest one = request_for(
      {fmt::format("pipe:echo run >> {}; cat {}", shelf.at("runs"), shelf.at("x-0.tar"))}, cache.string());
  CHECK(opened(one).size() == 3);
  CHECK(opened(one).size() == 3);
  CHECK(shelf.content("runs") == "run\n");
  CHECK(opened(request).size() == 27);
  std::size_t lines = 0;
  for (const char c : shelf.content("runs")) lines += c == '\n';
  CHECK(lines == 10);
  for (const auto& entry : fs::directory_iterator(cache.path())) CHECK(entry.path().extension() == ".tar");
}

TEST_CASE("given shards: processes that ask at the same time share one reading") {
  const Shelf shelf;
  const TempFolder cache;
  const ShardRequest request = request_for(
      {fmt::format("pipe:echo run >> {}; sleep 0.2; cat {}", shelf.at("runs"), shelf.at("x-0.tar"))},
      cache.string());
  std::atomic<int> images{0};
  std::vector<std::thread> processes;  // threads, because a lock's owners are opened files and not processes
  for (int i = 0; i < 4; ++i)
    processes.emplace_back([&] { images += static_cast<int>(opened(request).size()); });
  for (std::thread& process : processes) process.join();
  CHECK(images == 12);
  CHECK(shelf.content("runs") == "run\n");
}

TEST_CASE("given shards: a command that fails is tried again, with growing waits, and then named") {
  const Shelf shelf;
  const TempFolder cache;
  const std::string third_time =
      fmt::format("pipe:echo x >> {0}; test $(wc -l < {0}) -ge 3 || {{ echo busy >&2; exit 7; }}; cat {1}",
                  shelf.at("runs"), shelf.at("x-0.tar"));
  ShardRequest request = request_for({third_time}, cache.string());
  request.first_wait_seconds = 0.1;
  const auto start = std::chrono::steady_clock::now();
  CHECK(opened(request).size() == 3);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  CHECK(seconds.count() >= 0.3);  // 0.1 and 0.2
  CHECK(shelf.content("runs") == "x\nx\nx\n");

  const std::string never =
      "pipe:echo y >> " + shelf.at("tries") + "; echo one >&2; echo 'no such key' >&2; exit 22";
  CHECK(fetch_error(request_for({shelf.at("x-0.tar"), never}, cache.string())) ==
        "shard 2 of 2: " + never +
            " failed 4 times: exit code 22, and its last words were: no such key; try the command in a shell; "
            "those "
            "that were read before are kept by a folder for shards");
  CHECK(shelf.content("tries") == "y\ny\ny\ny\n");
  CHECK(contains(fetch_error(request_for({"pipe:kill -9 $$"}, cache.string())),
                 "failed 4 times: signal 9, Killed"));
  ShardRequest silent = request_for({"pipe:sleep 100"}, cache.string());
  silent.silent_seconds = 0.1;
  silent.attempts = 2;
  CHECK(contains(fetch_error(silent), "failed 2 times: it wrote nothing for 0.1 s"));
  // Nothing of a failure stays that could be taken for a shard.
  for (const auto& entry : fs::directory_iterator(cache.path()))
    CHECK((entry.path().extension() == ".lock" || entry.path().filename().string().starts_with("x-0-")));
}

TEST_CASE("given shards: what another attempt cannot change is said at once") {
  const Shelf shelf;
  const TempFolder cache;
  const auto error = [&](const std::string& command) {
    return fetch_error(request_for({"pipe:echo z >> " + shelf.at("tries") + "; " + command}, cache.string()));
  };
  CHECK(
      contains(error("no_such_program_of_kindred x.tar"), "failed: exit code 127, and its last words were: "));
  CHECK(contains(error("no_such_program_of_kindred x.tar"), "install the program, or correct the command"));
  CHECK(contains(
      error("gzip -c " + shelf.at("x-0.tar")),
      "failed: its output is compressed, and shards must be plain tar files; add | gunzip to the command"));
  CHECK(shelf.content("tries") == "z\nz\nz\n");
  CHECK(contains(fetch_error(request_for({shelf.at("x-7.tar")})), "x-7.tar: there is no such shard"));
  CHECK(contains(fetch_error(request_for({shelf.folder.string()})), "is a folder, not a shard"));
  // The exit code of a pipeline is its last command's, so the content must tell.
  CHECK(contains(error("head -c 1000 " + shelf.at("x-0.tar")), "failed 4 times: its output: byte 0: "));
  CHECK(contains(error("false | cat"), "failed 4 times: its output: byte 0: the end mark is missing"));
}

TEST_CASE("given shards: one that fails ends the others, and so does a request to stop") {
  const Shelf shelf;
  const TempFolder cache;
  const auto start = std::chrono::steady_clock::now();
  CHECK(contains(fetch_error(request_for({"pipe:sleep 100; echo {1..3}", "pipe:no_such_program_of_kindred"},
                                         cache.string())),
                 "exit code 127"));
  ShardRequest request = request_for({"pipe:sleep 100"}, cache.string());
  std::atomic<bool> stops{false};
  request.stop = [&] { return stops.load(); };
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    stops = true;
  });
  const std::string message = fetch_error(request);
  later.join();
  CHECK(contains(message, "stopped while shards were fetched"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
}

TEST_CASE(
    "given shards: a temporary folder lives as long as a set of it, and a killed process leaves none for "
    "long") {
  const Shelf shelf;
  const ShardRequest request = request_for({"pipe:cat " + shelf.at("x-0.tar")});
  const std::vector<fs::path> before = temporary_folders();
  {
    const Dataset first = opened(request), second = opened(request);
    CHECK(first.load(0).image.pixels == second.load(0).image.pixels);
    CHECK(temporary_folders().size() == before.size() + 1);
  }
  CHECK(temporary_folders() == before);
  // A folder that nobody uses: its process was killed.
  const fs::path left =
      fs::temp_directory_path() / fmt::format("kindred-shards-{}-test-{}", ::geteuid(), ::getpid());
  fs::create_directories(left);
  { const FileLock lock(left / "in-use"); }
  const Dataset set = opened(request);
  CHECK(!fs::exists(left));
}

TEST_CASE("given shards: progress counts the shards that commands write") {
  const Shelf shelf;
  const TempFolder cache;
  ShardRequest request =
      request_for({shelf.at("x-0.tar"), "pipe:cat " + shelf.at("x-{1..2}.tar")}, cache.string());
  std::vector<FetchProgress> shown;
  request.show = [&](const FetchProgress& now) { shown.push_back(now); };
  opened(request);
  REQUIRE(shown.size() == 3);
  CHECK(shown[0].shards == 0);
  CHECK(shown[2].shards == 2);
  CHECK(shown[2].of == 2);
  CHECK(shown[2].bytes == fs::file_size(shelf.at("x-1.tar")) + fs::file_size(shelf.at("x-2.tar")));
  shown.clear();
  opened(request);
  CHECK(shown.empty());
}
