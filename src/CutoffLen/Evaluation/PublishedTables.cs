using CutoffLen.Common;

namespace CutoffLen.Evaluation;

/// <summary>The published tables that <c>cutoff reproduce</c> compares a sweep with.</summary>
/// <remarks>
/// Not here: the tables of arXiv 2310.05209 itself, of which no text was found, only its repository's; and in the CLEX table the rows of
/// other weights (CodeLLaMA, 13B) or trained another way than the rest (ALiBi, random positions, CLEX at 4k).
/// </remarks>
public static class PublishedTables
{
    /// <summary>Every table.</summary>
    public static IReadOnlyList<PublishedTable> All { get; } = [PositionInterpolation(), Yarn(), Clex(), ScalingLaws()];

    /// <summary>The table of that name.</summary>
    /// <exception cref="UserException">There is none.</exception>
    public static PublishedTable Parse(string name) => All.FirstOrDefault(table => table.Name == name)
        ?? throw new UserException($"unknown table '{name}'{Spelling.Suggest(name, All.Select(table => table.Name))}; the tables are {string.Join(", ", All.Select(table => table.Name))}");

    /// <summary>Tables 1 and, for the rows without fine-tuning, 3 (0 steps). FT is direct fine-tuning.</summary>
    private static PublishedTable PositionInterpolation() => new(
        "pi-table", "arXiv 2306.15595, tables 1 and 3", "LLaMA 7B on PG-19", 2048, [2048, 4096, 8192, 16384, 32768],
        [
            Before("None", "rope", null, "7.20 >1000 >1000 >1000 >1000"),
            Before("PI 8192, 0 steps", "linear", 8192, "- - 16.10 - -"),
            Before("PI 16384, 0 steps", "linear", 16384, "- - - 112.13 -"),
            Tuned("FT 8192", "rope", 8192, "7.21 7.34 7.69 - -"),
            Tuned("PI 8192", "linear", 8192, "7.13 6.96 6.95 - -"),
            Tuned("PI 16384", "linear", 16384, "7.11 6.93 6.82 6.83 -"),
            Tuned("PI 32768", "linear", 32768, "7.23 7.04 6.91 6.80 6.77"),
        ]);

    /// <summary>
    /// The authors' results, of which table 1 of arXiv 2309.00071 prints the first five columns. The paper cuts YaRN's digits off where
    /// it rounds PI's, so there YaRN is as good as PI at 6k and better at 4k; here PI is a little better from 4k to 8k.
    /// </summary>
    private static PublishedTable Yarn() => new(
        "yarn-table", "jquesnelle/yarn, data/proofpile-long-small-8k.csv, commit c795a4c (arXiv 2309.00071, table 1)", "Llama 2 7B on 10 texts of Proof-pile", 4096,
        [2048, 4096, 6144, 8192, 10240, 12288, 14336, 16384],
        [
            Tuned("PI (LLongMA-2-7b)", "linear", 8192, "3.9219 3.5095 3.5089 3.3441 8.0711 23.5305 54.9883 102.7402"),
            Tuned("NTK (base 20000)", "abf:base=20000", 8192, "4.2026 3.7507 3.7434 3.5866 6.2354 18.2604 41.8941 74.4387"),
            Tuned("YaRN", "yarn", 8192, "3.9184 3.5098 3.5142 3.3564 6.0485 18.1182 41.1902 77.2327"),
        ]);

    /// <summary>
    /// Of arXiv 2310.16450. The table does not say PI's factor; it is taken as that of YaRN's first row, since a factor of 4 would end at
    /// 16k. CL-Scaling is taken as Code Llama's base. The authors train CLEX on positions of its own, which are keys of a sweep's row.
    /// </summary>
    private static PublishedTable Clex() => new(
        "clex-table", "DAMO-NLP-SG/CLEX, README.md, commit 0237097", "LLaMA-2 7B on books of RedPajama", 4096, [4096, 8192, 16384, 32768, 65536],
        [
            Before("LLaMA-2-7B", "rope", null, "6.04 20.54 >100 >1000 >1000"),
            Tuned("Naive FT", "rope", 16384, "5.98 5.93 5.91 18.31 >100"),
            Tuned("PI", "linear:factor=16", 16384, "5.9 5.71 5.72 6.05 8.75"),
            Tuned("Yarn (s=16)", "yarn:factor=16", 16384, "6.5 5.71 5.73 5.99 8.51"),
            Tuned("Yarn (s=32)", "yarn:factor=32", 16384, "6.61 5.94 5.96 6.08 6.22"),
            Tuned("CL-Scaling", "abf:base=1000000", 16384, "24.99 5.86 5.87 10.56 41.09"),
            Tuned("CLEX-16K", "clex:max_factor=16", 16384, "5.88 5.68 5.52 5.55 5.64"),
        ]);

    /// <summary>Of arXiv 2310.05209. The table does not say what log-scaled divides by; it is taken as the native length.</summary>
    private static PublishedTable ScalingLaws() => new(
        "scaling-laws", "OpenLMLab/scaling-rope, README.md, commit 101b93b", "LLaMA2, tuned at 16k", 4096, [131072, 262144, 524288, 1048576],
        [
            Tuned("base=500", "abf:base=500", 16384, "9.15 12.41 22.78 51.28"),
            Tuned("base=500 log-scaled", "abf:base=500+logn", 16384, "9.13 10.01 12.07 19.07"),
            Tuned("base=1000000", "abf:base=1000000", 16384, "7.07 76.82 1520.41 8349.9"),
        ]);

    private static PublishedRow Before(string label, string rope, int? length, string perplexities) => new(label, rope, length, false, Parsed(perplexities));

    private static PublishedRow Tuned(string label, string rope, int length, string perplexities) => new(label, rope, length, true, Parsed(perplexities));

    private static PublishedPerplexity?[] Parsed(string perplexities) => Array.ConvertAll(perplexities.Split(' '), PublishedPerplexity.Parse);
}
