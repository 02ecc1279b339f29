using CutoffLen.Common;
using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Protocols;

/// <summary>The protocols by name.</summary>
public static class PerplexityProtocols
{
    /// <summary>The name of the default protocol.</summary>
    public const string Default = "pi-s256";

    /// <summary>Every protocol with its source's own stride.</summary>
    public static IReadOnlyList<PerplexityProtocol> All { get; } =
    [
        new PiSliding(), new Prefix(), new YarnTruncated(), new LongLoraAll(), new LlamaCppHalf(), new LmEvalDisjoint(), new HuggingFaceStride(),
    ];

    /// <summary>
    /// The protocol of a name. A stride, given here or in the name as results print it (<c>pi-s512</c>,
    /// <c>hf-stride-s1024</c>), replaces the standard one.
    /// </summary>
    /// <exception cref="UserException">No protocol has the name, or it has no stride to change.</exception>
    public static PerplexityProtocol Parse(string name, int? stride = null)
    {
        if (stride is <= 0)
        {
            throw new UserException($"a stride must be at least 1 token, not {stride}");
        }

        var (stem, written) = SplitStride(name.Trim());
        return stem switch
        {
            "pi" => new PiSliding(stride ?? written ?? PiSliding.StandardStride),
            "longlora-all" => new LongLoraAll(stride ?? written ?? LongLoraAll.StandardStride),
            "hf-stride" => new HuggingFaceStride(stride ?? written ?? HuggingFaceStride.StandardStride),
            _ => WithoutStride(name.Trim(), stride),
        };
    }

    private static PerplexityProtocol WithoutStride(string name, int? stride)
    {
        var protocol = All.FirstOrDefault(p => p.Name == name)
            ?? throw new UserException($"there is no protocol '{name}'{Spelling.Suggest(name, All.Select(p => p.Name))}; the protocols are {string.Join(", ", All.Select(p => p.Name))}");
        return stride is null
            ? protocol
            : throw new UserException($"the protocol '{name}' has no stride; --stride goes with pi-s256, longlora-all and hf-stride");
    }

    private static (string Stem, int? Stride) SplitStride(string name)
    {
        var at = name.LastIndexOf("-s", StringComparison.Ordinal);
        return at > 0 && int.TryParse(name.AsSpan(at + 2), System.Globalization.NumberStyles.None, null, out var stride) && stride > 0
            ? (name[..at], stride)
            : (name, null);
    }
}

/// <summary>
/// <c>pi-sS</c>: windows of length L that advance by S = 256 tokens. The first is scored whole, each later one in the
/// tokens that the one before did not reach. So every token after the first is scored once, and after the first window
/// with at least L - S tokens of context. Mean per token.
/// </summary>
/// <remarks>
/// Press et al., arXiv 2108.12409 appendix B; Position Interpolation, arXiv 2306.15595 section 3.2; YaRN, arXiv
/// 2309.00071 section 4.3.1. YaRN's script (eval/perplexity.py) differs in two points: it averages window means, and it
/// puts a BOS token before every window.
/// </remarks>
public sealed class PiSliding(int stride = PiSliding.StandardStride) : PerplexityProtocol
{
    /// <summary>The stride of the papers, in tokens.</summary>
    public const int StandardStride = 256;

    /// <inheritdoc/>
    public override string Name => $"pi-s{stride}";

    /// <inheritdoc/>
    public override string Definition =>
        $"windows of the length, stride {stride}; the last {stride} tokens of each window are scored and all of the first; mean per token";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Tokens;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length) => Sliding(tokens, length, stride);
}

/// <summary>
/// <c>prefix</c>: the first L tokens of each document in one window, all scored, mean per token. Under a
/// length-independent method the forward of the longest prefix gives every shorter one.
/// </summary>
public sealed class Prefix : PerplexityProtocol
{
    /// <inheritdoc/>
    public override string Name => "prefix";

    /// <inheritdoc/>
    public override string Definition => "the first tokens of each text up to the length, all scored; mean per token";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Tokens;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length) => [new ScoredWindow(0, length, 1, length)];
}

/// <summary>
/// <c>yarn-trunc</c>: BOS and the first L - 1 tokens of each document in one window, all scored; mean of the documents'
/// means.
/// </summary>
/// <remarks>
/// jquesnelle/yarn eval/perplexity.py with <c>--truncate</c>, used by LongRoPE (arXiv 2402.13753) and EasyContext
/// (eval_ppl.py). Documents are tokenized without special tokens and cut to L - 1. A BOS goes before them where the
/// tokenizer has one. Perplexity is the exponential of the mean of the documents' mean losses.
/// </remarks>
public sealed class YarnTruncated : PerplexityProtocol
{
    /// <inheritdoc/>
    public override string Name => "yarn-trunc";

    /// <inheritdoc/>
    public override string Definition => "BOS and the first tokens of each text up to the length, all scored; mean of the texts' means";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Documents;

    /// <inheritdoc/>
    public override DocumentStart DocumentStart => DocumentStart.Bos;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length) => [new ScoredWindow(0, length, 1, length)];
}

/// <summary>
/// <c>longlora-all</c>: windows of length L that advance by S = 256, every token of every window scored; mean of the
/// windows' means. Most tokens are scored L / S times, each time with another context.
/// </summary>
/// <remarks>
/// dvlab-research/LongLoRA eval.py (arXiv 2309.12307), also used by LCEG. Windows begin at 0, S, 2S, ... below N - L, and
/// the last of these is dropped: a document needs more than L + S tokens to give a window. The script averages the
/// batches' means, which is the same at its batch size 1. It takes 2.71828 for e, a relative difference of 7e-7 times the
/// loss.
/// </remarks>
public sealed class LongLoraAll(int stride = LongLoraAll.StandardStride) : PerplexityProtocol
{
    /// <summary>The script's stride, in tokens.</summary>
    public const int StandardStride = 256;

    /// <inheritdoc/>
    public override string Name => stride == StandardStride ? "longlora-all" : $"longlora-all-s{stride}";

    /// <inheritdoc/>
    public override string Definition => $"windows of the length, stride {stride}; all tokens of every window are scored; mean of the windows' means";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Windows;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length)
    {
        for (var start = 0; start + stride < tokens - length; start += stride)
        {
            yield return new ScoredWindow(start, start + length, start + 1, start + length);
        }
    }
}

/// <summary>
/// <c>llamacpp-half</c>: disjoint windows of length L. The logits of the positions L/2 .. L - 2 are scored, that is the
/// last L - L/2 - 1 tokens of each window. Mean per token. Where the tokenizer adds BOS, the model reads BOS in place of
/// each window's first token. Tokens after the last whole window are not used.
/// </summary>
/// <remarks>
/// llama.cpp tools/perplexity/perplexity.cpp, <c>perplexity()</c>. The program refuses documents of less than 2 L tokens;
/// here one window is enough.
/// </remarks>
public sealed class LlamaCppHalf : PerplexityProtocol
{
    /// <inheritdoc/>
    public override string Name => "llamacpp-half";

    /// <inheritdoc/>
    public override string Definition => "disjoint windows of the length, each beginning with BOS; the second half of each is scored; mean per token";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Tokens;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length)
    {
        for (var start = 0; start <= tokens - length; start += length)
        {
            var first = start + (length / 2) + 1;
            if (first < start + length)
            {
                yield return new ScoredWindow(start, start + length, first, start + length, BosFirst: true);
            }
        }
    }
}

/// <summary>
/// <c>lmeval-disjoint</c>: every token of a document is scored once. Windows read L tokens and score the L that follow
/// each of them, with one token of context at a window's start. A prefix token (BOS, else EOS) goes before the document.
/// The last window is filled up with context to L tokens and scores the rest. Mean per token, and also per word (the
/// pieces between white space) and per UTF-8 byte of the document.
/// </summary>
/// <remarks>
/// EleutherAI lm-evaluation-harness: <c>get_rolling_token_windows</c> with context_len 1, <c>make_disjoint_window</c>,
/// and the metrics word_perplexity, byte_perplexity and bits_per_byte. The harness also scores documents shorter than L;
/// here they are left out, as in every protocol.
/// </remarks>
public sealed class LmEvalDisjoint : PerplexityProtocol
{
    /// <inheritdoc/>
    public override string Name => "lmeval-disjoint";

    /// <inheritdoc/>
    public override string Definition => "disjoint windows with one token of context, a prefix token before the text; all tokens scored once; mean per token";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Tokens;

    /// <inheritdoc/>
    public override DocumentStart DocumentStart => DocumentStart.BosOrEos;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length)
    {
        // tokens includes the prefix token. A window that reads L tokens also scores the token after them.
        var predicted = Math.Min(length, tokens - 1);
        yield return new ScoredWindow(0, predicted, 1, predicted + 1);
        while (predicted < tokens - 1)
        {
            var end = Math.Min(predicted + length, tokens - 1);
            yield return new ScoredWindow(end - length, end, predicted + 1, end + 1);
            predicted = end;
        }
    }
}

/// <summary>
/// <c>hf-stride</c>: windows of length L that advance by S = 512. Each scores the tokens that the one before did not
/// reach. Mean of the windows' means: the few tokens of the last window weigh as much as all of the first.
/// </summary>
/// <remarks>
/// Hugging Face, "Perplexity of fixed-length models", as it stood until the end of 2024 (<c>exp(stack(nlls).mean())</c>).
/// axolotl's <c>eval_causal_lm_metrics: perplexity</c> still computes it so. The page's later version weighs windows by
/// their tokens, which is <c>pi-s512</c> but for one token per window.
/// </remarks>
public sealed class HuggingFaceStride(int stride = HuggingFaceStride.StandardStride) : PerplexityProtocol
{
    /// <summary>The page's and axolotl's stride, in tokens.</summary>
    public const int StandardStride = 512;

    /// <inheritdoc/>
    public override string Name => stride == StandardStride ? "hf-stride" : $"hf-stride-s{stride}";

    /// <inheritdoc/>
    public override string Definition => $"windows of the length, stride {stride}; the last {stride} tokens of each window are scored and all of the first; mean of the windows' means";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Windows;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length) => Sliding(tokens, length, stride);
}
