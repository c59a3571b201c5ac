#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/console/typed_flags.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/cpu/parallel.h>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace kindred {
namespace {

// Of causes whose advice depends on flags alone. The best one first. A program gives the first one whose flags it all has.
using Choices = std::span<const char* const>;

constexpr const char* for_cpu[] = {"use --device cpu"};
constexpr const char* for_reference[] = {"use --device reference"};
constexpr const char* for_gpu[] = {"use --device cuda, or another --precision"};
constexpr const char* for_library[] = {"set LD_LIBRARY_PATH, or use --device cpu", "set LD_LIBRARY_PATH"};
constexpr const char* for_small_batch[] = {"use a larger --batch-size, --micro-batch or --image-size",
                                           "use a larger --batch-size or --image-size"};
constexpr const char* for_small_image[] = {"use a larger --image-size"};
constexpr const char* for_bad_image[] = {"leave out --strict to train all the same"};
constexpr const char* for_bad_images[] = {"raise --max-bad to accept more"};
constexpr const char* for_existing[] = {"give another name, or --overwrite", "give another name"};
constexpr const char* for_labels[] = {"or give a list of their labels: --labels FILE.csv"};

Choices choices_for(Cause cause) {
  switch (cause) {
    case Cause::other:
    case Cause::out_of_memory:  // these depend on values and limits
    case Cause::out_of_memory_loading:
    case Cause::out_of_threads:
    case Cause::out_of_processes:
      return {};
    case Cause::needs_cpu:
      return for_cpu;
    case Cause::needs_reference:
      return for_reference;
    case Cause::needs_gpu:
      return for_gpu;
    case Cause::missing_library:
      return for_library;
    case Cause::small_batch:
      return for_small_batch;
    case Cause::small_image:
      return for_small_image;
    case Cause::bad_image:
      return for_bad_image;
    case Cause::bad_images:
      return for_bad_images;
    case Cause::exists:
      return for_existing;
    case Cause::needs_labels:
      return for_labels;
  }
  return {};
}

// Of the program that runs.
struct KnownCommand {
  std::vector<std::string> flags{};      // empty: not said yet
  std::vector<std::string> arguments{};  // "--batch-size=8"
};

KnownCommand& this_command() {
  static KnownCommand command;
  return command;
}

bool has_flag(std::string_view flag) {
  const std::vector<std::string>& flags = this_command().flags;
  return flags.empty() || std::find(flags.begin(), flags.end(), flag) != flags.end();
}

bool has_flags_of(std::string_view text) {
  for (std::size_t at = text.find("--"); at != text.npos; at = text.find("--", at + 2))
    if (!has_flag(text.substr(at, text.find_first_of(" ,", at) - at))) return false;
  return true;
}

// A flag that was not given is taken for one that is above its smallest value: its default is.
bool can_be_lowered(const std::string& flag, long double least) {
  long double number = 0;
  const std::optional<std::string> value = value_in(this_command().arguments, flag);
  return has_flag(flag) && !(value && read_number(*value, number) && number <= least);
}

int least_batch_of_command() {
  // A program that trains with a loss has --loss. One that compares images needs two of them.
  constexpr const char* flag = "--loss";
  const bool trains = !this_command().flags.empty() && has_flag(flag);
  return trains && value_in(this_command().arguments, flag) != "cross_entropy" ? 2 : 1;
}

// "a smaller --batch-size", "--image-size", "a smaller model (--model resnet20)"
std::vector<std::string> smaller_sizes() {
  std::vector<std::string> ways;
  // A program without batches makes images of the size that it was asked for.
  const bool has_batches = has_flag("--batch-size");
  if (has_batches && can_be_lowered("--batch-size", least_batch_of_command()))
    ways.emplace_back("--batch-size");
  if (has_batches && can_be_lowered("--image-size", smallest_image_size)) ways.emplace_back("--image-size");
  if (!ways.empty()) ways.front() = "a smaller " + ways.front();
  for (const char* const flag : {"--model", "--untrained"}) {
    const std::optional<std::string> model = value_in(this_command().arguments, flag);
    if (model && *model != smallest_model)
      ways.push_back(fmt::format("a smaller model ({} {})", flag, smallest_model));
  }
  return ways;
}

std::string use_of(const std::vector<std::string>& ways) {
  return ways.empty() ? "" : "use " + alternatives(ways);
}

std::string limit_that_ends_allocations() {
  const std::optional<MemoryLimit> addresses = limit_of_addresses();
  return advice_about_limit(addresses ? addresses : limit_of_memory());
}

std::string advice_for_memory_of_host() {
  std::vector<std::string> ways = smaller_sizes();
  if (can_be_lowered("--workers", 0)) ways.emplace_back("fewer --workers");
  const std::string text = with_last_way_out(use_of(ways), limit_that_ends_allocations());
  const bool is_at_its_smallest = text.empty() && has_flag("--batch-size");
  return is_at_its_smallest ? "all sizes are the smallest already: a machine with more memory is needed" : text;
}

std::string advice_for_loading() {
  std::string ways = "use fewer --workers";
  if (!can_be_lowered("--workers", 0)) {
    ways = "use smaller copies of the largest pictures";
    if (compute_threads() > 1) ways += ", or, where several are decoded at once, a smaller OMP_NUM_THREADS";
  }
  return with_last_way_out(ways, limit_that_ends_allocations());
}

std::string limit_that_ends_threads() {
  // A thread needs addresses for its stack. Systems set a limit of some thousand threads for everyone, which is hardly met.
  constexpr std::size_t few_threads = 1024;
  const std::optional<MemoryLimit> addresses = limit_of_addresses();
  const std::optional<ThreadLimit> threads = limit_of_threads();
  std::string last;
  if (threads && (!addresses || threads->threads < few_threads))
    last = fmt::format("{} allows {}", threads->name, counted(threads->threads, "process"));
  const bool are_both = addresses && !last.empty();
  if (addresses)
    last = fmt::format("{} allows {}{}{}", addresses->name, format_bytes(static_cast<double>(addresses->bytes)),
                       are_both ? ", and " : "", last);
  return last.empty() ? "raise the limit of threads (ulimit -u)"
         : are_both   ? last + "; raise them"
                      : last + "; raise it";
}

// "fewer --processes", of a run of several.
std::vector<std::string> fewer_processes() {
  std::vector<std::string> ways;
  for (const char* const flag : {"--processes", "--gpus"})
    if (value_in(this_command().arguments, flag) && can_be_lowered(flag, 1))
      ways.push_back(std::string("fewer ") + flag);
  return ways;
}

std::string advice_for_threads() {
  std::vector<std::string> ways = fewer_processes();
  if (can_be_lowered("--workers", 0)) ways.insert(ways.begin(), "fewer --workers");
  if (compute_threads() > 1) ways.emplace_back("a smaller OMP_NUM_THREADS");
  constexpr std::size_t usual_stack = std::size_t{8} << 20;
  if (limit_of_stack().value_or(0) > usual_stack) ways.emplace_back("a smaller ulimit -s");
  return with_last_way_out(use_of(ways), limit_that_ends_threads());
}

// Of what mpirun starts.
std::string advice_for_processes() {
  return with_last_way_out(use_of(fewer_processes()), limit_that_ends_threads());
}

// By cause, made while there is memory for them.
struct AdviceTexts {
  std::array<std::string, static_cast<std::size_t>(Cause::needs_labels) + 1> by_cause{};
  std::string of_gpu{};

  AdviceTexts() {
    for (std::size_t i = 0; i < by_cause.size(); ++i) {
      const Choices choices = choices_for(static_cast<Cause>(i));
      const auto found = std::find_if(choices.begin(), choices.end(), has_flags_of);
      if (found != choices.end()) by_cause[i] = *found;
    }
    text(Cause::out_of_memory) = advice_for_memory_of_host();
    text(Cause::out_of_memory_loading) = advice_for_loading();
    text(Cause::out_of_threads) = advice_for_threads();
    text(Cause::out_of_processes) = advice_for_processes();
    of_gpu = use_of(smaller_sizes());
  }
  std::string& text(Cause cause) { return by_cause[static_cast<std::size_t>(cause)]; }
};

AdviceTexts& advice_texts() {
  static AdviceTexts texts;
  return texts;
}

}  // namespace

void give_advice_for(std::vector<std::string> flags) {
  this_command() = {std::move(flags), {}};
  advice_texts() = AdviceTexts();
}

void give_advice_beside(std::vector<std::string> arguments) {
  this_command().arguments = std::move(arguments);
  advice_texts() = AdviceTexts();
}

const char* advice(Cause cause) {
  return advice_texts().text(cause).c_str();
}

const char* advice_to_go_on() {
  constexpr const char* with_resume = "the same command with --resume goes on from the last checkpoint";
  return has_flags_of("--resume") ? with_resume : "the same command begins anew";
}

std::string message_with_advice(const Error& error) {
  const std::string message = error.what();
  // One that says what else helps, as where a picture is decoded.
  const bool ends_with_advice =
      error.cause() == Cause::other && dynamic_cast<const OutOfMemory*>(&error) != nullptr;
  if (ends_with_advice) return with_last_way_out(message, limit_that_ends_allocations());
  // What the host allows is no matter of the GPU.
  const bool is_gpu = error.cause() == Cause::out_of_memory && message.find("GPU") != message.npos;
  const std::string help = is_gpu ? advice_texts().of_gpu : advice(error.cause());
  return help.empty() ? message : message + "; " + help;
}

std::string advice_about_limit(const std::optional<MemoryLimit>& limit) {
  if (!limit) return "";
  return fmt::format("{} allows {}; raise it", limit->name, format_bytes(static_cast<double>(limit->bytes)));
}

std::string with_last_way_out(const std::string& ways, const std::string& last) {
  return ways.empty() || last.empty() ? ways + last : ways + "; if that is not enough: " + last;
}

std::string alternatives(const std::vector<std::string>& ways) {
  std::string text;
  for (std::size_t i = 0; i < ways.size(); ++i) {
    if (i > 0) text += i + 1 == ways.size() ? " or " : ", ";
    text += ways[i];
  }
  return text;
}

}  // namespace kindred
