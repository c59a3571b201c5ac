#include <kindred/apps/console/advice.h>
#include <kindred/apps/processes/launch_outcome.h>
#include <kindred/engine/trimmed.h>

#include <fmt/core.h>
#include <sys/wait.h>  // defines: WIFEXITED

#include <algorithm>
#include <array>
#include <csignal>
#include <regex>
#include <sstream>
#include <utility>

namespace kindred {
namespace {

// What mpirun says about the process whose end made it end all.
struct KilledProcess {
  int rank = 0, signal = 0;
};

std::optional<KilledProcess> killed_process(const std::string& words) {
  // mpirun breaks its lines where they become too long.
  static const std::regex sentence(
      R"(process\s+rank\s+(\d{1,6})\s[\s\S]{0,400}?exited\s+on\s+signal\s+(\d{1,3}))");
  std::smatch found;
  if (!std::regex_search(words, found, sentence)) return std::nullopt;
  return KilledProcess{std::stoi(found[1]), std::stoi(found[2])};
}

// Of what mpirun and unheard processes wrote, the line that says most.
struct TellingWords {
  std::string text{};
  bool is_error =
      false;  // of this program, without its beginning; otherwise the first paragraph, without mpirun's frame
};

TellingWords telling_words(const std::string& words) {
  std::istringstream lines(words);
  std::string paragraph;
  bool paragraph_is_over = false;
  for (std::string text; std::getline(lines, text);) {
    const std::string_view line = trimmed(text);
    constexpr std::size_t longest_beginning = 64;
    constexpr std::string_view kind = "error: ";
    if (const std::size_t at = line.find(kind); at < longest_beginning)
      return {std::string(line.substr(at + kind.size())), true};
    const bool is_frame = line.find_first_not_of('-') == line.npos;
    if (is_frame && !paragraph.empty()) paragraph_is_over = true;
    if (is_frame || paragraph_is_over) continue;
    if (!paragraph.empty()) paragraph += ' ';
    paragraph += line;
  }
  constexpr std::size_t most = 400;
  if (paragraph.size() > most) paragraph = paragraph.substr(0, most) + " ...";
  return {paragraph, false};
}

std::string line_of_lost_process(const LaunchSeen& seen, int rank, std::optional<int> signal) {
  std::string how = "ended without a word";
  if (signal) how = "was killed by " + signal_text(*signal);
  if (signal == SIGKILL) how += ", by someone or because memory ran out";
  return fmt::format("rank {} on {} {}; {}", rank, seen.host, how, advice_to_go_on());
}

// "rank 1", "ranks 0, 2 and 3", "ranks 0, 1, ..., 7 and 4 more"
std::string ranks_in_words(const std::vector<int>& ranks) {
  constexpr std::size_t most_named = 8;
  const std::size_t named = ranks.size() <= most_named ? ranks.size() : most_named;
  std::string words = ranks.size() == 1 ? "rank" : "ranks";
  for (std::size_t i = 0; i < named; ++i) {
    const bool is_last = i > 0 && i + 1 == ranks.size();
    words += fmt::format("{}{}", i == 0 ? " " : is_last ? " and " : ", ", ranks[i]);
  }
  if (ranks.size() > named) words += fmt::format(" and {} more", ranks.size() - named);
  return words;
}

std::vector<int> ranks_without(const std::vector<bool>& flags) {
  std::vector<int> ranks;
  for (std::size_t rank = 0; rank < flags.size(); ++rank)
    if (!flags[rank]) ranks.push_back(static_cast<int>(rank));
  return ranks;
}

}  // namespace

std::string line_of_missing_processes(const LaunchSeen& seen, const std::vector<int>& held_up, double seconds) {
  const std::vector<int> absent = ranks_without(seen.joined);
  if (absent.empty() && !held_up.empty())
    return fmt::format("{} on {} {} stopped or {} for a file system, and did not open MPI within {} s",
                       ranks_in_words(held_up), seen.host, held_up.size() == 1 ? "is" : "are",
                       held_up.size() == 1 ? "waits" : "wait", seconds);
  const std::vector<int> missing = absent.empty() ? ranks_without(seen.opened) : absent;
  return fmt::format("{} on {} did not {} within {} s; raise --timeout if {} slowly", ranks_in_words(missing),
                     seen.host, absent.empty() ? "open MPI" : "start", seconds,
                     missing.size() == 1 ? "it starts" : "they start");
}

std::string signal_text(int signal) {
  constexpr std::array<std::pair<int, const char*>, 10> names = {{{SIGKILL, "SIGKILL"},
                                                                  {SIGTERM, "SIGTERM"},
                                                                  {SIGINT, "SIGINT"},
                                                                  {SIGHUP, "SIGHUP"},
                                                                  {SIGSEGV, "SIGSEGV"},
                                                                  {SIGABRT, "SIGABRT"},
                                                                  {SIGBUS, "SIGBUS"},
                                                                  {SIGFPE, "SIGFPE"},
                                                                  {SIGILL, "SIGILL"},
                                                                  {SIGUSR1, "SIGUSR1"}}};
  for (const auto& [number, text] : names)
    if (number == signal) return text;
  return fmt::format("signal {}", signal);
}

LaunchOutcome launch_outcome(const LaunchSeen& seen) {
  if (seen.failure) return {seen.failure->number, seen.failure->text};
  // Rank 0 ends in order only when all others have finished too.
  if (!seen.ended.empty() && seen.ended[0]) return {*seen.ended[0], ""};
  constexpr int lost = static_cast<int>(ExitCode::lost);
  if (const auto killed = killed_process(seen.words))
    return {lost, line_of_lost_process(seen, killed->rank, killed->signal)};
  const int status = WIFEXITED(seen.status) ? WEXITSTATUS(seen.status) : 0;
  const bool is_our_code = status > 0 && status <= lost;
  const TellingWords words = telling_words(seen.words);
  if (words.is_error && is_our_code) return {status, words.text};
  // A process that says something and ends has not been lost.
  if (seen.first_gone && words.text.empty())
    return {lost, line_of_lost_process(seen, *seen.first_gone, std::nullopt)};
  if (std::any_of(seen.joined.begin(), seen.joined.end(), [](bool joined) { return joined; })) {
    if (WIFSIGNALED(seen.status) && words.text.empty())
      return {lost, fmt::format("mpirun was killed by {}; {}", signal_text(WTERMSIG(seen.status)),
                                advice_to_go_on())};
    const std::string which =
        seen.first_gone ? fmt::format("rank {} on {}", *seen.first_gone, seen.host) : "a process";
    return {is_our_code ? status : lost, fmt::format("{} ended, and so did the run: {}", which,
                                                     words.text.empty() ? "nothing says why" : words.text)};
  }
  const std::string how = WIFSIGNALED(seen.status)
                              ? "mpirun was killed by " + signal_text(WTERMSIG(seen.status))
                              : fmt::format("mpirun ended with code {}", status);
  return {static_cast<int>(ExitCode::device),
          fmt::format("no process could be started: {}", words.text.empty() ? how : words.text)};
}

}  // namespace kindred
