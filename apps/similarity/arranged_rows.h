// How the rows of an index are searched: one by one, or as FAISS arranges them in a file of its own.
#pragma once

#include <kindred/apps/similarity/index_folder.h>
#include <kindred/third_party/faiss/faiss.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kindred {

class OpenSegment;

// Up to a million rows "Flat": all are compared, which takes some tens of milliseconds, and nothing is missed. Beyond that
// "IVF<n>,Flat", where n is the power of two next to four times the root of the rows: FAISS's authors advise 4 to 16 times the
// root. A query is then compared with the rows of some of the n lists (usual_effort).
std::string usual_factory(std::int64_t rows);

// Of IVF a sixteenth of the lists, and at least 8; of HNSW 64 candidates (FAISS keeps at least one for each neighbour).
third_party::SearchEffort usual_effort(const third_party::VectorIndex& arranged);

// Arranges all rows of the segments, in their order, and writes the file. Shows its progress. Throws Error(usage) if the factory
// cannot be used for so few rows, and Error(io). Ends with Error(interrupted) after a signal.
ArrangedRows arrange_rows(const IndexFolder& folder, const std::string& factory, std::int64_t dim,
                          const std::vector<std::shared_ptr<const OpenSegment>>& segments, int number);

// Opens the file, with usual_effort(); IVF's lists are mapped. Throws Error(file) if it is damaged: up to 256 MiB its bytes are compared with their
// checksum first.
third_party::VectorIndex open_arranged(const std::filesystem::path& folder, const IndexContent& content);

// Compares all bytes of the file with its checksum. Throws Error(file).
void check_arranged(const std::filesystem::path& folder, const IndexedFile& file);

}  // namespace kindred
