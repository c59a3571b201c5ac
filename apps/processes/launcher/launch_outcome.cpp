#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/process_memory.h>
#include <kindred/apps/processes/ending.h>
#include <kindred/apps/processes/launcher/launch_outcome.h>
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

// "rank 1 on node7 was killed by SIGKILL"; `signal`: if one is known.
std::string what_was_lost(const LaunchSeen& seen, int rank, std::optional<int> signal) {
  std::string how = "ended without a word";
  if (signal) how = "was killed by " + signal_text(*signal);
  if (signal == SIGKILL) how += ", by someone or because memory ran out";
  return fmt::format("rank {} on {} {}", rank, seen.host, how);
}

// The process whose loss ended the others: what mpirun says of it, unless that is about one that the launcher has killed.
std::optional<std::string> what_was_killed(const LaunchSeen& seen) {
  const auto killed = killed_process(seen.words);
  if (!killed || (seen.has_killed && killed->rank != seen.first_gone)) return std::nullopt;
  return what_was_lost(seen, killed->rank, killed->signal);
}

std::string what_was_gone(const LaunchSeen& seen) {
  return what_was_killed(seen).value_or(what_was_lost(seen, seen.first_gone.value_or(0), std::nullopt));
}

constexpr int lost_code = static_cast<int>(ExitCode::lost);

LaunchOutcome lost_outcome(const std::string& what) {
  return {lost_code, fmt::format("{}; {}", what, advice_after_loss())};
}

// How those say it that get no process, thread, pipe or memory from the system: the C library, mpirun, and PMIx.
bool says_out_of_resources(std::string_view words) {
  constexpr std::string_view sentences[] = {"pmix_progress_thread",
                                            "system limit on number of",
                                            "system limit exceeded on number of",
                                            "Resource temporarily unavailable",
                                            "Cannot allocate memory",
                                            "ut of resource",
                                            "OUT-OF-RESOURCE",
                                            "OUT_OF_RESOURCE",
                                            "pthread_create failed",
                                            "Too many open files"};
  return std::any_of(std::begin(sentences), std::end(sentences),
                     [&](std::string_view sentence) { return words.find(sentence) != words.npos; });
}

// The line among them that says so: mpirun's first one may be about what it could not do then.
std::string line_out_of_resources(const std::string& words) {
  std::istringstream lines(words);
  for (std::string text; std::getline(lines, text);)
    if (says_out_of_resources(text)) return std::string(trimmed(text));
  return "";
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

std::vector<int> ranks_not_among(const std::vector<std::optional<int>>& those) {
  std::vector<int> ranks;
  for (std::size_t rank = 0; rank < those.size(); ++rank)
    if (!those[rank]) ranks.push_back(static_cast<int>(rank));
  return ranks;
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

std::string line_of_stopped_processes(const LaunchSeen& seen, double seconds) {
  const std::vector<int> ranks = ranks_not_among(seen.ended);
  return fmt::format("{} on {} {} been stopped for {} s; {}", ranks_in_words(ranks), seen.host,
                     ranks.size() == 1 ? "has" : "have", seconds, advice_after_loss());
}

std::string who_stayed(const LaunchSeen& seen, const std::vector<int>& present,
                       const std::vector<int>& held_up) {
  if (present.empty()) return "mpirun";
  std::vector<int> undone;
  for (const int rank : ranks_not_among(seen.done))
    if (std::find(present.begin(), present.end(), rank) != present.end()) undone.push_back(rank);
  const std::vector<int>& named = !undone.empty() ? undone : !held_up.empty() ? held_up : present;
  return fmt::format("{} on {}", ranks_in_words(named), seen.host);
}

namespace {

// Rank 0 is done only when all others have given it what it needs of them.
std::optional<int> code_of_rank_0(const LaunchSeen& seen) {
  if (!seen.done.empty() && seen.done[0]) return seen.done[0];
  return seen.ended.empty() ? std::nullopt : seen.ended[0];
}

// Of a run whose results are whole: whatever happened to a process since then is no failure, but is said.
LaunchOutcome outcome_of_done(const LaunchSeen& seen, int code) {
  constexpr const char* whole = "; all results were written before";
  LaunchOutcome outcome{code, ""};
  if (!seen.stayed.empty())
    outcome.warning = fmt::format("{} did not end by itself{}", seen.stayed, whole);
  else if (code == 0 && seen.failure)
    outcome.warning = seen.failure->text + whole;
  else if (code == 0 && seen.first_gone)  // with another code mpirun ends the others as soon as one has ended
    outcome.warning = what_was_gone(seen) + whole;
  return outcome;
}

LaunchOutcome outcome_without_resources(const LaunchSeen& seen) {
  return {
      static_cast<int>(ExitCode::device),
      fmt::format("mpirun could not start {} processes: {}", seen.processes, line_out_of_resources(seen.words)),
      Cause::out_of_processes};
}

}  // namespace

LaunchOutcome launch_outcome(const LaunchSeen& seen) {
  const std::optional<int> done = code_of_rank_0(seen);
  if (seen.own_line != 0 && !done) return {seen.own_line, ""};
  const int status = WIFEXITED(seen.status) ? WEXITSTATUS(seen.status) : 0;
  const bool is_our_code = status > 0 && status <= lost_code;
  const TellingWords words = telling_words(seen.words);
  const bool has_said_why = words.is_error && is_our_code;
  if (seen.was_gone_before_interrupt && !has_said_why) return lost_outcome(what_was_gone(seen));
  if (seen.was_gone_before_interrupt) return {status, words.text};
  if (seen.failure && !(done == 0 && seen.failure->number == lost_code))
    return {seen.failure->number, seen.failure->text};
  if (done) return outcome_of_done(seen, *done);
  const bool have_opened = !seen.opened.empty() && ranks_without(seen.opened).empty();
  if (!have_opened && !words.is_error && says_out_of_resources(seen.words))
    return outcome_without_resources(seen);
  if (const auto killed = what_was_killed(seen)) return lost_outcome(*killed);
  if (has_said_why) return {status, words.text};
  const bool have_joined =
      std::any_of(seen.joined.begin(), seen.joined.end(), [](bool joined) { return joined; });
  // Its processes are killed with it. What it wrote then is a list of addresses.
  if (WIFSIGNALED(seen.status) && !seen.has_killed_mpirun) {
    const int signal = WTERMSIG(seen.status);
    const std::string how = "mpirun was killed by " + signal_text(signal);
    // Its libraries crash where they do not get memory. Any other signal somebody has sent.
    const bool is_crash = signal == SIGSEGV || signal == SIGBUS || signal == SIGABRT;
    if (have_joined || !is_crash) return lost_outcome(how);
    return {static_cast<int>(ExitCode::device), "no process could be started: " + how,
            limit_of_addresses() ? Cause::out_of_memory : Cause::other};
  }
  // A process that says something and ends has not been lost.
  if (seen.first_gone && (words.text.empty() || seen.has_killed)) return lost_outcome(what_was_gone(seen));
  const std::string why = words.text.empty() ? "nothing says why" : words.text;
  if (have_joined) {
    const std::string which =
        seen.first_gone ? fmt::format("rank {} on {}", *seen.first_gone, seen.host) : "a process";
    return {is_our_code ? status : lost_code, fmt::format("{} ended, and so did the run: {}", which, why)};
  }
  return {static_cast<int>(ExitCode::device),
          fmt::format("no process could be started: {}",
                      words.text.empty() ? fmt::format("mpirun ended with code {}", status) : words.text)};
}

}  // namespace kindred
