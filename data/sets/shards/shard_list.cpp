#include <kindred/data/sets/shards/shard_list.h>
#include <kindred/engine/error.h>
#include <kindred/engine/trimmed.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <set>
#include <string_view>

namespace kindred {
namespace {

constexpr std::string_view pipe_prefix = "pipe:";
constexpr std::size_t most_shards = 1'000'000;

void check_count(std::size_t count, const std::string& text) {
  check(count <= most_shards, ExitCode::usage, "{}: means more than {} shards; check its ranges", text,
        most_shards);
}

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool has_leading_zero(std::string_view number) {
  if (number.starts_with('-')) number.remove_prefix(1);
  return number.size() > 1 && number[0] == '0';
}

// "000..127", "9..1", "0..10..2", "a..e"; nullopt if it is no range.
std::optional<std::vector<std::string>> range_in(std::string_view inside, const std::string& text) {
  const std::size_t dots = inside.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const std::string_view first = inside.substr(0, dots);
  std::string_view last = inside.substr(dots + 2);
  std::int64_t step = 1;
  if (const std::size_t more = last.find(".."); more != std::string_view::npos) {
    const auto given = number_in(last.substr(more + 2));
    if (!given) return std::nullopt;
    step = std::max<std::int64_t>(std::abs(*given), 1);
    last = last.substr(0, more);
  }
  const auto is_letter = [](std::string_view word) {
    return word.size() == 1 && ((word[0] >= 'a' && word[0] <= 'z') || (word[0] >= 'A' && word[0] <= 'Z'));
  };
  const bool letters = is_letter(first) && is_letter(last);
  const auto from = letters ? std::int64_t{first[0]} : number_in(first);
  const auto to = letters ? std::int64_t{last[0]} : number_in(last);
  if (!from || !to) return std::nullopt;
  constexpr std::int64_t farthest = std::int64_t{1} << 60;  // differences of such numbers have no overflow
  if (std::abs(*from) > farthest || std::abs(*to) > farthest) return std::nullopt;
  const std::size_t width =
      has_leading_zero(first) || has_leading_zero(last) ? std::max(first.size(), last.size()) : 0;
  const std::int64_t steps = std::abs(*to - *from) / step, sign = *to < *from ? -1 : 1;
  check_count(static_cast<std::size_t>(steps) + 1, text);
  std::vector<std::string> words;
  for (std::int64_t i = 0; i <= steps; ++i) {
    const std::int64_t value = *from + sign * i * step;
    words.push_back(letters ? std::string(1, static_cast<char>(value)) : fmt::format("{:0{}}", value, width));
  }
  return words;
}

// "left,right"; nullopt without a comma, and for words of another language: awk '{print $1, $2}', JSON.
std::optional<std::vector<std::string>> choice_in(std::string_view inside) {
  if (inside.find(',') == std::string_view::npos || inside.find_first_of(" \t\n'\"") != std::string_view::npos)
    return std::nullopt;
  std::vector<std::string> words;
  for (;;) {
    const std::size_t comma = inside.find(',');
    words.emplace_back(inside.substr(0, comma));
    if (comma == std::string_view::npos) return words;
    inside.remove_prefix(comma + 1);
  }
}

void expand_from(const std::string& before, std::string_view rest, const std::string& text,
                 std::vector<std::string>& all) {
  for (std::size_t open = rest.find('{'); open != std::string_view::npos; open = rest.find('{', open + 1)) {
    const std::size_t close = rest.find_first_of("{}", open + 1);
    if (close == std::string_view::npos || rest[close] == '{') continue;  // the inner ones may be a range
    if (open > 0 && (rest[open - 1] == '$' || rest[open - 1] == '\\')) continue;
    const std::string_view inside = rest.substr(open + 1, close - open - 1);
    auto words = range_in(inside, text);
    if (!words) words = choice_in(inside);
    if (!words) continue;
    for (const std::string& word : *words)
      expand_from(before + std::string(rest.substr(0, open)) + word, rest.substr(close + 1), text, all);
    return;
  }
  all.push_back(before + std::string(rest));
  check_count(all.size(), text);
}

// The name before the last ".tar" of a path or a command: "x-007.tar" of "curl https://host/x-007.tar?key=1 | cat".
std::string name_of_shard(const std::string& text) {
  constexpr std::string_view ending = ".tar";
  const std::size_t end = text.rfind(ending);
  if (end == std::string::npos) return {};
  const std::size_t before = text.find_last_of("/\\ \t\n'\"=:;|&<>()?", end);
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  return begin >= end ? std::string() : text.substr(begin, end + ending.size() - begin);
}

}  // namespace

bool ShardSpec::is_pipe() const {
  return text.starts_with(pipe_prefix);
}

std::string ShardSpec::command() const {
  return text.substr(pipe_prefix.size());
}

std::string name_of_shards(const std::vector<std::string>& texts) {
  return texts.size() == 1 ? texts.front() : fmt::format("{} and {} more", texts.front(), texts.size() - 1);
}

std::vector<std::string> expand_braces(const std::string& text) {
  std::vector<std::string> all;
  expand_from("", text, text, all);
  return all;
}

std::vector<ShardSpec> shards_named(const std::vector<std::string>& texts) {
  std::vector<ShardSpec> shards;
  for (const std::string& text : texts)
    for (std::string& one : expand_braces(text)) {
      ShardSpec shard{std::move(one), {}};
      check(!shard.text.empty(), ExitCode::usage,
            "a shard's name is empty; give a tar file, or pipe: and a command that writes one");
      check(!shard.is_pipe() || !trimmed(shard.command()).empty(), ExitCode::usage,
            "pipe: without a command; give one whose standard output is a tar file: pipe:curl -sSf URL");
      const std::size_t name = shard.is_pipe() ? 0 : shard.text.find_last_of('/') + 1;
      shard.called = shard.is_pipe() ? name_of_shard(shard.text) : shard.text.substr(name);
      shards.push_back(std::move(shard));
      check_count(shards.size(), text);
    }
  std::set<std::string> known;
  for (const ShardSpec& shard : shards)
    check(known.insert(shard.text).second, ExitCode::usage,
          "{}: is named twice, and its images would count twice; name each shard once", shard.text);
  // A command that names no tar file, or the same one as another: its place says which shard it is.
  std::set<std::string> names;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    std::string& called = shards[i].called;
    if (shards[i].is_pipe() && (called.empty() || names.contains(called)))
      called = fmt::format("shard-{:06}.tar", i);
    names.insert(called);
  }
  return shards;
}

}  // namespace kindred
