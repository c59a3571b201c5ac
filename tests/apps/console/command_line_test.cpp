// Flags as people type them, in every program: what is understood, and the line for what is not.
#include "../../errors.h"
#include "../programs.h"

#include <doctest/doctest.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/typed_flags.h>
#include <kindred/apps/training/options/pretrain_options.h>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

using TypedWords = std::vector<std::string>;

struct RefusedCommand {
  const char* program;
  const char* arguments;
  const char* line;  // behind "error: "
};

void check_refused(const std::vector<RefusedCommand>& commands) {
  for (const RefusedCommand& command : commands) {
    CAPTURE(command.arguments);
    const auto result = run_program(command.program, command.arguments);
    CHECK(result.output == std::string(command.program) + ": error: " + command.line + "\n");
    CHECK(result.code == 2);
  }
}

// Parses the arguments behind the program's name, which spaces separate.
void parse_typed(CommandLine& line, const std::string& typed) {
  std::istringstream stream(typed);
  TypedWords words{"program"};
  for (std::string word; stream >> word;) words.push_back(word);
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  CHECK(!line.parse(static_cast<int>(arguments.size()), arguments.data()).has_value());
}

PretrainOptions options_typed(const std::string& typed) {
  CommandLine line("", "pretrain");
  const PretrainFlags flags(line);
  parse_typed(line, typed);
  return flags.resolve();
}

KnownFlag known_flag(TypedWords names, std::string value) {
  KnownFlag flag;
  flag.names = std::move(names);
  flag.value = std::move(value);
  return flag;
}

TEST_CASE("flags: one that there is not is named first, with the nearest one") {
  check_refused({
      {"pretrain", "--temprature 0.1", "--temprature: no such flag; did you mean --temperature? (see --help)"},
      {"pretrain", "set --out run --haed mlp", "--haed: no such flag; did you mean --head? (see --help)"},
      {"pretrain", "set -lr 0.1", "-lr: no such flag; did you mean --lr? (see --help)"},
      {"pretrain", "set -out run", "-out: no such flag; did you mean --out? (see --help)"},
      {"linear_probe", "--encodr=x --foo", "--encodr: no such flag; did you mean --encoder? (see --help)"},
      {"linear_probe", "set --lr abc --foo 5", "--foo: no such flag (see --help)"},
      {"explain_loss", "5 --foo", "--foo: no such flag (see --help)"},
      {"pack_dataset", "set --maxside 5", "--maxside: no such flag; did you mean --max-side? (see --help)"},
      {"embed", "--batch_sizes 4", "--batch_sizes: no such flag; did you mean --batch-size? (see --help)"},
      {"check_data", "set -x", "-x: no such flag (see --help)"},
      {"export", "-help", "-help: no such flag; did you mean --help? (see --help)"},
  });
}

TEST_CASE("flags: the nearest name is at most a third away, and the first of several") {
  const std::vector<KnownFlag> flags = {known_flag({"--cat"}, "N"), known_flag({"-h", "--hat"}, "N"),
                                        known_flag({"--abcdef"}, "")};
  const auto refusal = [&](const std::string& typed) {
    return test::error_of([&] { plain_arguments({typed}, flags); });
  };
  CHECK(refusal("--bat") == "--bat: no such flag; did you mean --cat? (see --help)");
  CHECK(refusal("--ht") == "--ht: no such flag (see --help)");
  CHECK(refusal("--hta") == "--hta: no such flag; did you mean --hat? (see --help)");
  CHECK(refusal("--haat") == "--haat: no such flag; did you mean --hat? (see --help)");
  CHECK(refusal("--badcef") == "--badcef: no such flag; did you mean --abcdef? (see --help)");
  CHECK(refusal("--badcfe") == "--badcfe: no such flag (see --help)");
  CHECK(refusal("--" + std::string(100000, 'a')).ends_with("a: no such flag (see --help)"));
}

TEST_CASE("flags: an argument too many has a line of its own") {
  check_refused({
      {"pretrain", "set run", "run: one argument too many; pretrain takes DIR (see --help)"},
      {"pack_dataset", "a b c", "c: one argument too many; pack_dataset takes DIR and OUT (see --help)"},
      {"explain_loss", "5", "5: one argument too many; explain_loss takes only flags (see --help)"},
      {"explain_loss", "-- --views",
       "--views: one argument too many; explain_loss takes only flags (see --help)"},
      {"make_toy_dataset", "out ''", "'': one argument too many; make_toy_dataset takes OUT (see --help)"},
      {"pretrain", "set", "--out is required (see --help)"},
  });
}

TEST_CASE("flags: a value that is missing, empty or of another kind") {
  check_refused({
      {"pretrain",
       "set --out run --lr=", "--lr=: the value is empty; write --lr=NUMBER, or leave it out (see --help)"},
      {"explain_loss",
       "--views=", "--views=: the value is empty; write --views=N, or leave it out (see --help)"},
      {"pack_dataset", "a b --overwrite=", "--overwrite=: the value is empty; write --overwrite (see --help)"},
      {"linear_probe", "set --out", "--out: its value is missing; write --out FOLDER (see --help)"},
      {"linear_probe", "set --out --epochs 3",
       "--out: its value is missing before --epochs; write --out FOLDER (see --help)"},
      {"embed", "set --out -b 8", "--out: its value is missing before -b; write --out FILE (see --help)"},
      {"linear_probe", "set --out run --lr ''",
       "--lr '': the value is empty; write --lr NUMBER, or leave it out (see --help)"},
      {"linear_probe", "set --out run --lr 1,5", "--lr 1,5: expected a number (see --help)"},
      {"pack_dataset", "a b --max-side ten", "--max-side ten: expected an integer (see --help)"},
      {"pack_dataset", "a b --max-side 3000000000",
       "--max-side 3000000000: expected an integer from -2147483648 to 2147483647 (see --help)"},
      {"pack_dataset", "a b --overwrite=maybe",
       "--overwrite maybe: expected no value, or =true or =false (see --help)"},
      {"check_data", "set --views=99999999999999999999",
       "--views 99999999999999999999: expected an integer from -2147483648 to 2147483647 (see --help)"},
      {"explain_loss", "--labels 1,x", "--labels x: expected an integer (see --help)"},
      {"make_toy_dataset", "out --seed 9007199254740993",
       "--seed 9007199254740993: expected an integer from 0 to 9007199254740992 (see --help)"},
  });
}

TEST_CASE("flags: an empty value is refused in every program, with what to write") {
  const std::string or_none = ", or leave it out (see --help)";
  const struct {
    const char *program, *arguments, *flag, *value;
    bool is_required;
  } cases[] = {
      {"evaluate", "set --json ''", "--json", "FILE", false},
      {"evaluate", "set --classifier '' --json x", "--classifier", "FILE", false},
      {"report", "run --out ''", "--out", "FILE", true},
      {"map_embedding", "set --out ''", "--out", "FILE", true},
      {"check_data", "set --json ''", "--json", "FILE", false},
      {"check_data", "set --out ''", "--out", "FOLDER", false},
      {"check_data", "set --labels ''", "--labels", "FILE", false},
      {"embed", "set --out ''", "--out", "FILE", true},
      {"export", "run --format npz --out ''", "--out", "FILE", true},
      {"pretrain", "set --out ''", "--out", "FOLDER", true},
      {"pretrain", "set --out run --dry-run --gpu h100 --prediction ''", "--prediction", "FILE", false},
      {"pretrain", "set --out run --gpu ''", "--gpu", "VALUE", false},
      {"linear_probe", "set --untrained resnet20 --out ''", "--out", "FOLDER", true},
  };
  for (const auto& c : cases) {
    const std::string line = std::string(c.flag) + " '': the value is empty; write " + c.flag + " " + c.value +
                             (c.is_required ? " (see --help)" : or_none);
    check_refused({{c.program, c.arguments, line.c_str()}});
  }
}

TEST_CASE("flags: a negative number is a value") {
  check_refused({
      {"pretrain", "set --out run --lr -1", "--lr -1: expected 0 or more"},
      {"explain_loss", "--views -1", "--views -1: use 2 or 3"},
      {"linear_probe", "set --out run --untrained resnet20 --image-size -5",
       "--image-size -5: expected 8 to 4096 pixels"},
      {"linear_probe", "set --out run --val-seed -1",
       "--val-seed -1: expected an integer, 0 or more (see --help)"},
      {"make_toy_dataset", "out --seed -1",
       "--seed -1: expected an integer from 0 to 9007199254740992 (see --help)"},
  });
}

TEST_CASE("flags: the last of several values counts, and lists grow") {
  CommandLine line("", "program");
  double rate = 0;
  int views = 0;
  std::int64_t epochs = 0;
  std::optional<std::string> name;
  std::vector<int> labels;
  line.add("--rate", rate);
  line.add_switch("--views{8}", views);
  line.add("-e,--epochs", epochs);
  line.add("--name", name);
  line.add("--labels", labels).separated_by(',');
  parse_typed(
      line,
      "--rate 0.1 --views --labels 1,2 --name a --rate=-0.2 -e8 --labels=3 -4 --name=--b=c --views=4 -e=010");
  CHECK(rate == -0.2);
  CHECK(views == 4);
  CHECK(epochs == 10);
  CHECK(name.value_or("") == "--b=c");
  CHECK((labels == std::vector<int>{1, 2, 3, -4}));
}

TEST_CASE("flags: the spellings of other programs give the same options") {
  const PretrainOptions ours = options_typed(
      "set --out run --device cpu --model resnet20 --batch-size 8 --lr 0.2 --temperature 0.5 --image-size 40 "
      "--optimizer lars --weight-decay 0.01 --workers 3 --weights w.safetensors --warmup-epochs 2 "
      "--warmup-start-lr 0.05");
  const PretrainOptions theirs = options_typed(
      "set -o run --device cpu --arch resnet20 --batch_size 8 --learning_rate 0.2 --temp 0.5 --img-size=40 "
      "--opt lars --wd 0.01 --num-workers 3 --pretrained w.safetensors --lr-warmup-epochs 2 --warmup-lr 0.05");
  CHECK(ours.to_json().at("image_size").get<int>() == 40);
  CHECK(ours.to_json().at("weights").get<std::string>() == "w.safetensors");
  CHECK(theirs.to_json().dump() == ours.to_json().dump());
  CHECK(theirs.out == "run");

  const std::vector<KnownFlag> flags = {
      known_flag({"--out"}, "FILE"), known_flag({"-j", "--workers"}, "N"), known_flag({"--image-size"}, "N"),
      known_flag({"--label-smoothing"}, "NUMBER"), known_flag({"--strict"}, "")};
  const TypedWords plain = {
      "--out=a",  "--out=b", "--workers=2", "--workers=3", "--image-size=32", "--label-smoothing=0.1",
      "--strict", "-1",      "--",          "--size"};
  CHECK(plain_arguments({"-oa", "--output", "b", "-j2", "--num_workers=3", "--size", "32", "--smoothing", "0.1",
                         "--strict", "-1", "--", "--size"},
                        flags) == plain);
  // Only a program that has the flag has its other spellings.
  const std::string refused = test::error_of([&] { plain_arguments({"--arch", "x"}, flags); });
  CHECK(refused == "--arch: no such flag (see --help)");
}

TEST_CASE("flags: --help says the kind of each value and known ranges, and hides other spellings") {
  const struct {
    const char* program;
    TypedWords lines;
  } cases[] = {
      {"pretrain",
       {"  DIR REQUIRED", "  --out FOLDER REQUIRED", "  --weights FILE ", "  -b,--batch-size N ",
        "  --lr NUMBER ", "  --device VALUE=auto ", "  --prediction FILE "}},
      {"linear_probe",
       {"  --encoder FILE ", "  --untrained VALUE ", "  --out FOLDER REQUIRED", "  --augment VALUE=none",
        "all stages the same (0); 0 or more\n"}},
      {"make_toy_dataset", {"  OUT REQUIRED", "  --seed N=1 ", "; an integer from 0 to 9007199254740992\n"}},
      {"check_data", {"  --json FILE ", "  --augment VALUE "}},
      {"embed", {"  --out FILE REQUIRED", "  --classifier FILE "}},
      {"evaluate", {"  --classifier FILE ", "  --corruptions VALUE ...", "  --severities N ..."}},
      {"classify", {"  IMAGE ... REQUIRED", "  --top N=5 "}},
      {"report", {"  RUN ... REQUIRED", "  --out FILE REQUIRED"}},
      {"map_embedding", {"  --out FILE REQUIRED", "  --perplexity NUMBER=30"}},
      {"pack_dataset", {"  --quality N "}},
      {"export", {"  --format VALUE REQUIRED", "  --out FILE REQUIRED"}},
      {"explain_loss", {"  --labels N=3 0 2 3 ...", "two images or more; 0 or more\n", "  --views N=2 "}},
  };
  for (const auto& c : cases) {
    CAPTURE(c.program);
    const auto help = run_program(c.program, "--help");
    CHECK(help.code == 0);
    for (const std::string& line : c.lines) CHECK(says(help, line));
    for (const char* hidden :
         {" TEXT", " INT", " UINT", " FLOAT", "--arch", "--img-size", "--num-workers", "-o,"})
      CHECK(!says(help, hidden));
  }
  const auto help = run_program("pretrain", "--foo --lr abc --out --help");
  CHECK(help.code == 0);
  CHECK(says(help, "Usage: pretrain [OPTIONS] DIR\n"));
}

TEST_CASE("command line: which flags were typed is known when all have their values") {
  CommandLine line("", "program");
  std::string folder, name;
  std::int64_t count = 3;
  line.add("DIR", folder);
  line.add("--name", name);
  line.add("-n,--count", count);
  std::vector<bool> typed;
  std::int64_t seen = 0;
  line.when_parsed([&] {
    typed = {line.has("DIR"), line.has("--name"), line.has("--count")};
    seen = count;
  });
  const char* const arguments[] = {"program", "-n8", "here"};
  CHECK(!line.parse(3, arguments).has_value());
  CHECK(typed == std::vector<bool>{true, false, true});
  CHECK(seen == 8);
}

}  // namespace
}  // namespace kindred
