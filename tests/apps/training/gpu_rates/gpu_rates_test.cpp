// The tables of a GPU's rates: which rate applies to a kind of work, the installed tables, and users' files.
#include "../../../errors.h"

#include <kindred/apps/training/gpu_rates/gpu_rates.h>
#include <kindred/engine/files/json_text.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace kindred {
namespace {

std::string table_text(const std::string& bandwidth = R"({"other": {"tb_per_s": 4}})",
                       const std::string& arithmetic = R"({"other": {"f32": 10, "bf16": 20, "f16": 20}})",
                       const std::string& rest = R"("memory": {"gib": 80}, )") {
  return R"({"gpu": "mine", )" + rest +
         R"("launch": {"us": 3}, "call": {"us": 5}, "recording": {"us": 10}, "host_link": {"gb_per_s": 50},
             "bandwidth": )" +
         bandwidth + R"(, "tflop_per_s": )" + arithmetic + "}";
}

TEST_CASE("rates: the longest name that fits holds") {
  const GpuRates rates = parse_gpu_rates(
      table_text(
          R"({"other": {"tb_per_s": 1}, "batch_norm": {"tb_per_s": 2}, "batch_norm.apply": {"tb_per_s": 4}})",
          R"({"other": {"f32": 1, "bf16": 2, "f16": 3}, "conv2d.forward": {"bf16": 5, "tf32": 4}})"),
      "mine.json");
  const auto kind = [](const std::string& name) -> const WorkKind& {
    for (const WorkKind* each : WorkKind::all())
      if (each->name() == name) return *each;
    FAIL(name);
    return *WorkKind::all().front();
  };
  const auto seconds = [&](const char* name, const Work& work, const Precision& precision = {}) {
    return rates.seconds(kind(name), work, precision);
  };
  // Relative to the value: doctest's default tolerance would be 1e-5 seconds.
  const auto exactly = [](double value) { return doctest::Approx(value).scale(0); };
  const Work moving{.read = 600'000'000, .written = 400'000'000};
  CHECK(seconds("add", moving) == exactly(1e-3 + 3e-6));
  CHECK(seconds("batch_norm.reduce", moving) == exactly(0.5e-3 + 3e-6));
  CHECK(seconds("batch_norm.apply", moving) == exactly(0.25e-3 + 3e-6));
  const Work bf16{.read = 8, .operations = 1e10, .factors = DType::bf16};
  CHECK(seconds("conv2d.forward.3x3", bf16) == exactly(2e-3 + 3e-6));
  CHECK(seconds("conv2d.data.3x3", bf16) == exactly(5e-3 + 3e-6));
  const Work f32{.operations = 1e9, .launches = 2, .unevenness = 1.5};
  CHECK(seconds("conv2d.forward.1x1", f32) == exactly(1.5e-3 + 6e-6));  // the rate of f32 is the one of "other"
  CHECK(seconds("conv2d.forward.1x1", f32, Precision{DType::f32, true}) == exactly(0.375e-3 + 6e-6));
  CHECK(seconds("conv2d.data.1x1", f32, Precision{DType::f32, true}) == exactly(1.5e-3 + 6e-6));
}

TEST_CASE("rates: the tables that come along name a source for every number") {
  CHECK(gpu_names() == std::vector<std::string>{"a100", "h100", "h200"});
  for (const ShippedRates& each : shipped_rates) {
    CAPTURE(each.name);
    const GpuRates rates = gpu_rates(each.name);
    CHECK(rates.gpu.find(each.name[0] == 'a'   ? "A100"
                         : each.name[1] == '1' ? "H100"
                                               : "H200") != std::string::npos);
    const auto json = parse_json(each.text);
    std::size_t sources = 0;
    const auto look = [&](const nlohmann::json& rate) {
      CHECK(rate.at("source").get<std::string>().size() > 5);
      ++sources;
    };
    for (const char* key : {"memory", "launch", "call", "recording", "host_link"}) look(json.at(key));
    for (const char* key : {"bandwidth", "tflop_per_s"})
      for (const auto& rate : json.at(key)) look(rate);
    CHECK(sources >= 30);
  }
}

TEST_CASE("rates: a file that cannot be read or does not fit is refused in one line") {
  const auto refused = [](const std::string& text, const std::string& why) {
    CAPTURE(text.substr(0, 200));
    const auto parse = [&] { parse_gpu_rates(text, "mine.json"); };
    CHECK(test::error_of(parse).find(why) != std::string::npos);
    CHECK(test::code_of(parse) == ExitCode::file);
  };
  CHECK_NOTHROW(parse_gpu_rates(table_text(), "mine.json"));
  refused("", "not JSON");
  refused("[]", "expected an object");
  refused("{}", "\"gpu\" is missing");
  refused(R"({"gpu": 3})", "expected a text");
  refused(R"({"gpu": "a\nb"})", "expected a name in one line");
  refused(std::string(100, '['), "levels deep");
  refused(table_text("3"), "bandwidth: expected an object of rates");
  refused(table_text("{}"), "\"other\" is missing");
  refused(table_text(R"({"other": {"tb_per_s": 0}})"), "expected a number from");
  refused(table_text(R"({"other": {"tb_per_s": -1}})"), "expected a number from");
  refused(table_text(R"({"other": {"tb_per_s": "4"}})"), "expected a number from");
  refused(table_text(R"({"other": {"tb_per_s": 1e999}})"), "too large");
  refused(table_text(R"({"other": {"gb_per_s": 4000}})"), "tb_per_s");
  refused(table_text(R"({"other": {"tb_per_s": 4}, "other": {"tb_per_s": 3}})"), "given twice");
  refused(table_text(R"({"other": {"tb_per_s": 4}, "batchnorm.apply": {"tb_per_s": 4}})"),
          "not a kind of work");
  refused(table_text(R"({"other": {"tb_per_s": 4}, "batch_norm.": {"tb_per_s": 4}})"), "not a kind of work");
  refused(table_text(R"({"other": {"tb_per_s": 4}, "batch": {"tb_per_s": 4}})"), "not a kind of work");
  refused(table_text(R"({"other": {"tb_per_s": 4}, "\u0007": {"tb_per_s": 4}})"), "not a kind of work");
  refused(table_text(R"({"other": {"tb_per_s": 4}})", R"({"other": {"f32": 10, "f16": 10}})"),
          "\"bf16\" is missing");
  refused(
      table_text(R"({"other": {"tb_per_s": 4}})", R"({"other": {"f32": 10, "bf16": 1, "f16": 10, "i8": 3}})"),
      "unknown key");
  refused(table_text(R"({"other": {"tb_per_s": 4}})", R"({"other": {"f32": 1, "bf16": 1, "f16": 1}})", ""),
          "\"memory\" is missing");
  refused(table_text(R"({"other": {"tb_per_s": 4, "source": 3}})"), "expected a text");
}

}  // namespace
}  // namespace kindred
