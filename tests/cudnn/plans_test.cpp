// Checks that cuDNN has plans for everything that the layers need on an H200, without an H200. Since 9.8 cuDNN
// makes plans for a described GPU (h200.h), and compiles their kernels too. Only a GPU can test what a plan
// computes.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/cudnn/batch_norm.h>
#include <kindred/third_party/cudnn/convolution.h>

#include "../engine/temporary_folder.h"
#include "h200.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace kindred::cudnn {
namespace {

struct Layer {
  std::int64_t n, size, c, k, filter, stride;
};

// Every convolution of ResNet-50 at 224 and of ResNet-18 and -20 at 32. The stems' channels are padded as on a
// GPU.
std::set<ConvolutionKey> layers_of_resnets(ConvPass pass, DType dtype, DType weight_dtype) {
  const std::int64_t colours = dtype == DType::f32 ? 3 : 8;
  std::vector<Layer> layers{
      {256, 224, colours, 64, 7, 2}, {512, 32, colours, 64, 3, 1}, {512, 32, colours, 16, 3, 1}};
  std::int64_t in = 64, size = 56;
  for (std::int64_t width = 64; width <= 512; width *= 2) {  // bottlenecks: stride on the 3x3 convolution
    const std::int64_t stride = width == 64 ? 1 : 2, next = size / stride;
    layers.insert(layers.end(), {{256, size, in, width, 1, 1},
                                 {256, size, width, width, 3, stride},
                                 {256, next, width, 4 * width, 1, 1},
                                 {256, size, in, 4 * width, 1, stride},
                                 {256, next, 4 * width, width, 1, 1},
                                 {256, next, width, width, 3, 1}});
    in = 4 * width;
    size = next;
  }
  for (const std::int64_t first : {64, 16}) {  // basic blocks at 32
    size = 32;
    for (std::int64_t width = first; width <= (first == 64 ? 512 : 64); width *= 2) {
      layers.push_back({512, size, width, width, 3, 1});
      if (2 * width <= (first == 64 ? 512 : 64))
        layers.insert(layers.end(), {{512, size, width, 2 * width, 3, 2}, {512, size, width, 2 * width, 1, 2}});
      size /= 2;
    }
  }
  std::set<ConvolutionKey> keys;
  for (const Layer& l : layers) {
    if (pass == ConvPass::backward_data && l.c == colours) continue;  // images have no gradient
    const std::int64_t pad = l.filter / 2, out = (l.size + 2 * pad - l.filter) / l.stride + 1;
    keys.insert({pass,
                 dtype,
                 weight_dtype,
                 {l.n, l.size, l.size, l.c, l.k, l.filter, l.filter, l.stride, pad, out, out},
                 false});
  }
  return keys;
}

// Checks that the text of each choice gives the same plan again.
void check_choices(const std::vector<ChosenPlan>& plans, const std::function<Graph()>& make_graph,
                   const PlanRules& rules) {
  std::set<std::string> texts;
  for (const ChosenPlan& offered : plans) {
    CAPTURE(offered.choice);
    CHECK(offered.plan.workspace() <= std::size_t{256} << 20);
    CHECK(texts.insert(offered.choice).second);
    Graph graph = make_graph();
    const std::optional<Plan> again = plan_from(graph, offered.choice, rules);
    REQUIRE(again);
    CHECK(again->workspace() == offered.plan.workspace());
    CHECK(again->is_compiled() == offered.plan.is_compiled());
  }
}

TEST_CASE("cuDNN for an H200: every convolution of the ResNets has plans, in every precision") {
  struct Precision {
    DType dtype;
    PlanRules rules;
  };
  for (const Precision& p : {Precision{DType::bf16, {}},
                             {DType::f16, {}},
                             {DType::f32, {.allow_tf32 = true}},
                             {DType::f32, {}},
                             {DType::bf16, {.deterministic = true}}})
    for (const ConvPass pass : {ConvPass::forward, ConvPass::backward_data, ConvPass::backward_weight})
      for (const ConvolutionKey& key : layers_of_resnets(pass, p.dtype, p.dtype)) {
        CAPTURE(key.to_string());
        CAPTURE(p.rules.allow_tf32);
        const auto graph = [&key] { return graph_of(key); };
        Graph first = graph(), second = graph();
        const std::vector<ChosenPlan> usual = offered_plans(first, p.rules, Offer::usual);
        // Without tensor cores, some shapes have only slow engines.
        const bool tensor_cores = p.dtype != DType::f32 || p.rules.allow_tf32;
        if (tensor_cores)
          CHECK(usual.size() >= 4);
        else if (usual.empty())
          CHECK_FALSE(offered_plans(second, p.rules, Offer::fallback).empty());
        check_choices(usual, graph, p.rules);
      }
}

TEST_CASE(
    "cuDNN for an H200: windows on rows of odd images have plans of their own, which need less alignment") {
  for (const ConvPass pass : {ConvPass::forward, ConvPass::backward_data, ConvPass::backward_weight})
    for (const bool tf32 : {false, true}) {
      ConvolutionKey key{pass, DType::f32, DType::f32, {64, 33, 33, 3, 16, 3, 3, 1, 1, 33, 33}, false};
      CAPTURE(tf32);
      const PlanRules rules{.allow_tf32 = tf32};
      const auto offered = [&](int alignment) {
        key.alignment = alignment;
        CAPTURE(key.to_string());
        std::set<std::string> choices;
        for (const Offer offer : {Offer::usual, Offer::fallback}) {
          Graph graph = graph_of(key);
          for (const ChosenPlan& plan : offered_plans(graph, rules, offer)) choices.insert(plan.choice);
        }
        CHECK_FALSE(choices.empty());
        return choices;
      };
      const std::set<std::string> aligned = offered(16), unaligned = offered(4);
      // Tensor cores read 16 bytes at a time, so some plans do not accept such windows.
      if (tf32 && pass != ConvPass::backward_data)
        CHECK(std::any_of(aligned.begin(), aligned.end(),
                          [&](const std::string& choice) { return !unaligned.contains(choice); }));
    }
  ConvolutionKey key{ConvPass::forward, DType::f32, DType::f32, {2, 5, 5, 3, 4, 3, 3, 1, 1, 5, 5}, false};
  const std::string at_16 = key.to_string();
  key.alignment = 4;
  CHECK(key.to_string() == at_16 + ", alignment 4");  // the key in the plan book
}

TEST_CASE("cuDNN for an H200: no engine writes f32 gradients of 16-bit filters, so those are converted") {
  // If cuDNN has such a plan one day, layers/conv2d/cuda.cu will use it, and this check will say that the
  // conversion is no longer needed.
  for (const ConvolutionKey& key : layers_of_resnets(ConvPass::backward_weight, DType::bf16, DType::f32)) {
    Graph graph = graph_of(key);
    CHECK(offered_plans(graph, {}, Offer::usual).empty());
  }
}

TEST_CASE("cuDNN for an H200: a data gradient with an addition compiles") {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const ConvolutionKey key{
        ConvPass::backward_data, dtype, dtype, {256, 14, 14, 1024, 256, 1, 1, 1, 0, 14, 14}, true};
    Graph graph = graph_of(key);
    const PlanRules rules{.allow_tf32 = true};
    const std::vector<ChosenPlan> plans = offered_plans(graph, rules, Offer::usual);
    REQUIRE(!plans.empty());
    CHECK(plans.front().plan.is_compiled());
  }
}

TEST_CASE("cuDNN for an H200: batch norm compiles with its ReLU, residual and mask, forward and backward") {
  const BatchNormKey keys[] = {{DType::bf16, 256, 56, 56, 256, true, true},
                               {DType::f16, 256, 112, 112, 64, true, false},
                               {DType::f32, 512, 32, 32, 16, true, true},
                               {DType::bf16, 256, 7, 7, 2048, false, false},
                               {DType::bf16, 6, 14, 14, 72, true, false}};
  for (const BatchNormKey& key : keys) {
    CAPTURE(key.to_string());
    for (const bool forward : {true, false}) {
      Graph graph = forward ? forward_graph(key) : backward_graph(key);
      CHECK_FALSE(offered_plans(graph, {.deterministic = true}, Offer::usual).empty());
    }
  }
  Graph odd = forward_graph({DType::bf16, 256, 56, 56, 12, true, false});  // left to the native kernels
  CHECK(offered_plans(odd, {}, Offer::usual).empty());
}

TEST_CASE("cuDNN: a text that is no choice gives no plan") {
  const ConvolutionKey key{
      ConvPass::forward, DType::bf16, DType::bf16, {256, 14, 14, 256, 256, 3, 3, 1, 1, 14, 14}, false};
  Graph good = graph_of(key);
  const std::string choice = offered_plans(good, {}, Offer::usual).at(0).choice;
  for (const std::string& text :
       {std::string(), std::string("engine"), std::string("-1"), std::string("999999"),
        std::string("4000000000000"), choice + " 2", choice + " 2=x", choice + " 99=1", choice + " -3=1",
        choice + " 2=999999", choice + ";", choice + " ", " " + choice,
        choice.substr(0, choice.find(' ')) + " 2:1"}) {
    CAPTURE(text);
    Graph graph = graph_of(key);
    CHECK_FALSE(plan_from(graph, text, {}));
  }
  Graph f32 =
      graph_of({ConvPass::forward, DType::f32, DType::f32, {256, 14, 14, 256, 256, 3, 3, 1, 1, 14, 14}, false});
  const std::vector<ChosenPlan> rounded = offered_plans(f32, {.allow_tf32 = true}, Offer::usual);
  REQUIRE(!rounded.empty());
  Graph again =
      graph_of({ConvPass::forward, DType::f32, DType::f32, {256, 14, 14, 256, 256, 3, 3, 1, 1, 14, 14}, false});
  CHECK_FALSE(plan_from(again, rounded.front().choice, {}));  // against the rules: it rounds to tf32
}

TEST_CASE("cuDNN: a compiled plan is kept in the user's cache, and damage there costs time only") {
  const TemporaryFolder home;
  setenv("XDG_CACHE_HOME", home.path.c_str(), 1);  // before the cache is first asked for
  const BatchNormKey key{DType::bf16, 32, 28, 28, 128, false, false};
  const auto graph = [&key] { return forward_graph(key); };
  Graph first = graph();
  std::vector<ChosenPlan> plans = offered_plans(first, {}, Offer::usual);
  REQUIRE(!plans.empty());
  REQUIRE(plans[0].plan.is_compiled());

  const std::optional<Plan> from_code = plan_from_code(plans[0].plan.code().value());
  REQUIRE(from_code);
  CHECK(from_code->workspace() == plans[0].plan.workspace());
  for (const char* text : {"", "{}", "[]", "{\"cudnnVersion\": 91900}"}) CHECK_FALSE(plan_from_code(text));

  // The book holds the choice; the cache gets the code at the first search.
  plan_book().remember("a norm", plans[0].choice);
  const std::filesystem::path folder = home.path / "kindred";
  CHECK_FALSE(std::filesystem::exists(folder));
  REQUIRE(find_plan("a norm", graph));
  REQUIRE(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
  const std::filesystem::path file = std::filesystem::directory_iterator(folder)->path();
  const std::string kept = read_bytes(file);
  CHECK(kept.find("NVIDIA H200") != std::string::npos);
  CHECK(kept.find("deterministic false") != std::string::npos);  // code found under other rules is not used

  std::string changed = kept;
  changed[kept.size() / 2] = static_cast<char>(changed[kept.size() / 2] ^ 4);
  std::ofstream(file, std::ios::binary) << changed;
  REQUIRE(find_plan("a norm", graph));
  CHECK(read_bytes(file).substr(17, 50) == kept.substr(17, 50));  // made again; without the checksum's line
  CHECK(read_bytes(file) != changed);
}

}  // namespace
}  // namespace kindred::cudnn

int main(int argc, char** argv) {
  const std::string missing = kindred::cudnn::why_missing();
  const std::string reason = !missing.empty() ? missing
                             : !kindred::cudnn::describe_gpu(kindred::test::h200)
                                 ? "this cuDNN makes no plans without a GPU"
                                 : "";
  if (!reason.empty()) {
    std::printf("skipped: cuDNN's plans for an H200: %s\n", reason.c_str());
    std::printf("[doctest] test cases: 1 | 1 passed | 0 failed | 0 skipped\n");
    return 0;
  }
  return doctest::Context(argc, argv).run();
}
