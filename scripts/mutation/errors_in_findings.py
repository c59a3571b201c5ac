"""Errors in what neighbours tell and in what shows it: retrieval, duplicates, outliers, labels, maps, indices, pages, the server.
mutation_test.py --all also plants them."""

# Noticed by cases without a program of its own.
ERRORS_IN_LIBRARY = [
    ("apps/evaluation/figures/retrieval.cpp", "if (rank > classmates) continue;", "", "retrieval:*"),
    ("apps/evaluation/figures/retrieval.cpp", "-std::numeric_limits<float>::infinity();  // ranked", "2;  // ranked", "retrieval:*"),
    ("apps/analysis/duplicates.cpp", "group.crosses_parts = differ(table.parts_of, group.rows);",
     "group.crosses_parts = differ(table.labels, group.rows);", "duplicates:*"),
    ("apps/analysis/duplicates.cpp", "for (const DuplicatePair& pair : found.pairs) connected.connect(pair.a, pair.b);", "",
     "duplicates:*"),
    ("apps/analysis/outliers.cpp", "return 1.4826 * middle;", "return middle;", "outliers:*"),
    ("apps/analysis/outliers.cpp", "similarity.back()", "similarity.front()", "outliers:*"),
    ("apps/analysis/mislabeled.cpp", "cosine > options.silent_above) continue;", "cosine < options.silent_above) continue;",
     "doubtful labels:*"),
    ("apps/analysis/mislabeled.cpp", "label != doubt.label && weight > rival", "weight > rival", "doubtful labels:*"),
    ("apps/report/run_story.cpp", "score < best_score ||", "score > best_score ||", "report:*"),
    ("apps/pages/html_text.cpp", 'return "&lt;";', 'return "<";', "pages:*"),
    ("apps/serving/requests/access_token.cpp", "return difference == 0 && !expected.empty();", "return !expected.empty();",
     "serving:*"),
    ("apps/serving/requests/request_rules.cpp", 'if (name == "localhost" || name == "127.0.0.1"', 'if (name != "" || name == "127.0.0.1"',
     "serving:*"),
    ("apps/similarity/open_segment.cpp", "if (begin > end || end > data)", "if (begin > end)", "index: *"),
    ("losses/diagnostics/diagnostics.cpp", "std::clamp((x + 1) / 2 * cosine_bins", "std::clamp(x * cosine_bins",
     "diagnostics: two images*"),
]
