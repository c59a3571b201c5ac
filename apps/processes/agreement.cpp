#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/processes/agreement.h>
#include <kindred/apps/processes/places.h>
#include <kindred/engine/error.h>

#include <elf.h>   // defines: NT_GNU_BUILD_ID
#include <link.h>  // defines: dl_iterate_phdr, ElfW

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

namespace kindred {
namespace {

// "rank 2 on node7", from what the process gave.
std::string place_in_words(std::size_t rank, const std::string& given) {
  return fmt::format("rank {} on {}", rank, given.substr(0, given.find('\n')));
}

std::string given_text(const std::string& given) {
  return given.substr(given.find('\n') + 1);
}

constexpr const char* empty_line = "an empty line";

// A line with its key, which is what stands before its first colon. Lines of one key, or without any, are told apart by how
// many came before.
struct KeyedLine {
  std::string key;
  int place = 0;
  std::string text;
};

std::vector<KeyedLine> keyed_lines(const std::string& text) {
  std::istringstream lines(text);
  std::vector<KeyedLine> keyed;
  std::map<std::string, int> so_far;
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with(',')) line.pop_back();  // JSON: whether another line follows says nothing about this one
    const std::size_t colon = line.find(':');
    const std::string key = colon == line.npos ? "" : line.substr(0, colon);
    keyed.push_back({key, so_far[key]++, line.empty() ? empty_line : line});
  }
  return keyed;
}

const KeyedLine* same_key(const std::vector<KeyedLine>& lines, const KeyedLine& as) {
  const auto found = std::find_if(lines.begin(), lines.end(), [&](const KeyedLine& line) {
    return line.key == as.key && line.place == as.place;
  });
  return found == lines.end() ? nullptr : &*found;
}

// The first place where two texts that are not the same differ, of each; "" where one of them has no line there.
std::pair<std::string, std::string> first_different_places(const std::string& one, const std::string& other) {
  std::istringstream lines(one + '\n'),
      other_lines(other + '\n');  // so that a newline at the end is a line more
  for (;;) {
    std::string line, other_line;
    const bool has_one = static_cast<bool>(std::getline(lines, line)),
               has_other = static_cast<bool>(std::getline(other_lines, other_line));
    if (has_one && has_other && line == other_line) continue;
    return {has_one && line.empty() ? empty_line : line,
            has_other && other_line.empty() ? empty_line : other_line};
  }
}

// The first line in which two texts differ, of each; "" where one of them has no line with that key.
std::pair<std::string, std::string> first_different_lines(const std::string& one, const std::string& other) {
  const std::vector<KeyedLine> lines = keyed_lines(one), other_lines = keyed_lines(other);
  if (lines.size() == 1 && other_lines.size() == 1 && lines[0].text != other_lines[0].text)
    return {lines[0].text, other_lines[0].text};
  for (const KeyedLine& line : lines) {
    const KeyedLine* const match = same_key(other_lines, line);
    if (match == nullptr) return {line.text, ""};
    if (match->text != line.text) return {line.text, match->text};
  }
  for (const KeyedLine& line : other_lines)
    if (same_key(lines, line) == nullptr) return {"", line.text};
  return first_different_places(one, other);
}

std::string shown_line(const std::string& line) {
  constexpr std::size_t most = 120;
  if (line.empty()) return "nothing";
  return one_line(line.size() > most ? line.substr(0, most) + "..." : line);
}

// The linker's fingerprint of the program, in the notes of the first object, which is the program itself.
int read_build_id(dl_phdr_info* object, std::size_t, void* result) {
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = object->dlpi_phdr[i];
    if (header.p_type != PT_NOTE) continue;
    const auto* const notes = reinterpret_cast<const std::byte*>(object->dlpi_addr + header.p_vaddr);
    const auto rounded = [](std::size_t bytes) { return (bytes + 3) / 4 * 4; };
    for (std::size_t at = 0; at + sizeof(ElfW(Nhdr)) <= header.p_memsz;) {
      ElfW(Nhdr) note;
      std::memcpy(&note, notes + at, sizeof(note));
      const std::size_t text = at + sizeof(note) + rounded(note.n_namesz);
      if (text + note.n_descsz > header.p_memsz) break;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
          std::memcmp(notes + at + sizeof(note), "GNU", 4) == 0)
        for (std::size_t k = 0; k < note.n_descsz; ++k)
          *static_cast<std::string*>(result) += fmt::format("{:02x}", static_cast<unsigned>(notes[text + k]));
      at = text + rounded(note.n_descsz);
    }
  }
  return 1;  // no other object
}

}  // namespace

void agree(const Communicator& processes, std::string_view what, const std::string& text,
           std::string_view advice) {
  if (processes.is_alone()) return;
  const std::vector<std::string> all = processes.gather(host_name() + "\n" + text);
  const std::string first = given_text(all[0]);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    const std::string other = given_text(all[rank]);
    if (other == first) continue;
    const auto [line, other_line] = first_different_lines(first, other);
    fail(ExitCode::usage, "{} has other {} than {}: {}, and not {}; {}", place_in_words(rank, all[rank]), what,
         place_in_words(0, all[0]), shown_line(other_line), shown_line(line), advice);
  }
}

std::string build_in_words() {
  std::string build_id;
  ::dl_iterate_phdr(read_build_id, &build_id);
  return fmt::format("version {}, compiler {}, build {}", kindred_version, __VERSION__,
                     build_id.empty() ? "unknown" : build_id);
}

}  // namespace kindred
