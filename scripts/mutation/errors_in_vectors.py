"""Errors in kernels that are compiled for several kinds of vectors, and the cases that must notice each. A fifth entry is the
source through which a header is compiled."""

ERRORS = [
    ("layers/conv2d/register_product.cpp", "p.accumulate ? hn::Add(load(to), sum[r][v]) : sum[r][v]", "sum[r][v]",
     "convolutions for vectors: products by pixel*"),
    ("layers/conv2d/register_product.cpp", "for (; row + 4 <= p.rows; row += 4)", "for (; row + 4 < p.rows; row += 8)",
     "convolutions for vectors: products by pixel*"),
    ("layers/conv2d/winograd.cpp", "const std::int64_t row = tiles.row + i - 1;", "const std::int64_t row = tiles.row + i;",
     "convolutions for vectors: Winograd*"),
    ("layers/conv2d/winograd.cpp", "const bool inside = row >= 0 && row < s.h;", "const bool inside = row >= 0;",
     "convolutions for vectors: Winograd*"),
    ("layers/conv2d/winograd_weight.cpp", "i < rows && j < columns ?", "i < rows ?", "convolutions for vectors: Winograd*"),
    ("layers/conv2d/direct.cpp", "if (columns > 0) product_row", "if (columns > 1) product_row", "convolutions for vectors: direct? every*"),
    ("layers/conv2d/direct_weight.cpp", "if (length > 0) outer_products", "if (length > 1) outer_products",
     "convolutions for vectors: direct? every*"),
    ("layers/conv2d/pixel_products.cpp", "if (!product.accumulate)  // no filter", "if (product.accumulate)  // no filter",
     "convolutions for vectors: products by pixel*"),
    ("engine/cpu/vectors.h", "hn::InterleaveUpper(pairs, ab, cd)", "hn::InterleaveLower(pairs, ab, cd)",
     "convolutions for vectors: Winograd*", "layers/conv2d/winograd_filters.cpp"),
    ("engine/cpu/eight_floats.h", "hn::Add(odd, hn::Set(bits_of_part, 0x7fff))", "hn::Set(bits_of_part, 0x7fff)",
     "batch norm*", "layers/batch_norm/cpu.cpp"),
    ("engine/cpu/eight_floats.h", "hn::IfThenZeroElse(hn::Le(v.part[i], hn::Zero(part_of_eight)), v.part[i])", "v.part[i]",
     "batch norm*", "layers/batch_norm/cpu.cpp"),
    ("losses/supcon/cpu_rows.cpp", "    max_positive = p > max_positive ? p : max_positive;\n", "", "supcon*"),
]
