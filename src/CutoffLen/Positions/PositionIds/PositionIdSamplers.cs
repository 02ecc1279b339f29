using System.Globalization;
using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>
/// The samplers by name, as the key <c>positions</c> has them: <c>plain</c>, <c>pose:chunks=3</c>, <c>randomized</c>,
/// <c>shape:max_shift=500</c>, <c>random-padding</c>, <c>skip-align:rate=0.3</c>, <c>cream:sigma=3</c>, <c>longrecipe</c>, <c>clex</c>.
/// </summary>
public static class PositionIdSamplers
{
    private static readonly Entry[] Entries =
    [
        new("plain", "", _ => new PlainSampler()),
        new("pose", "chunks=2", values => new PoseSampler((int)Number(values, "chunks", 2, 1, 1_000, whole: true))),
        new("randomized", "", _ => new RandomizedSampler()),
        new("shape", "max_shift=N", values => new ShapeSampler((int)Number(values, "max_shift", int.MaxValue, 0, int.MaxValue, whole: true))),
        new("random-padding", "", _ => new RandomPaddingSampler()),
        new("skip-align", "rate=0.5", values => new SkipAlignSampler(Number(values, "rate", 0.5, 1e-6, 1, whole: false))),
        new("cream", "sigma=3", values => new CreamSampler(Number(values, "sigma", 3, 1e-6, 1e6, whole: false))),
        new("longrecipe", "", _ => new LongRecipeSampler()),
        new("clex", "", _ => new ClexSampler()),
    ];

    /// <summary>All names, in the order in which they are listed.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Entries.Select(entry => entry.Name)];

    /// <summary>The sampler that a text means.</summary>
    /// <exception cref="UserException">An unknown name or key, or a value outside its range.</exception>
    public static PositionIdSampler Parse(string text)
    {
        var name = text.Split(':')[0];
        var entry = Entries.FirstOrDefault(e => e.Name == name)
            ?? throw new UserException($"positions '{text}' are not known; allowed are {string.Join(", ", Names)}");
        var values = new Dictionary<string, string>();
        foreach (var item in name.Length == text.Length ? [] : text[(name.Length + 1)..].Split(','))
        {
            var pair = item.Split('=', 2);
            if (pair[0] != entry.Key || !values.TryAdd(pair[0], pair[^1]))
            {
                var allowed = entry.Keys.Length > 0 ? $"{entry.Keys}, once" : "none";
                throw new UserException($"positions '{text}': the key '{pair[0]}' cannot stand here; {name} takes {allowed}");
            }
        }

        return entry.Create(values);
    }

    private static double Number(Dictionary<string, string> given, string key, double otherwise, double least, double most, bool whole)
    {
        if (!given.TryGetValue(key, out var text))
        {
            return otherwise;
        }

        var fits = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            && number >= least && number <= most && (!whole || number == Math.Floor(number));
        return fits ? number : throw new UserException(
            $"positions: {key}={text} must be a {(whole ? "whole number" : "number")} from {least} to {most}");
    }

    private sealed record Entry(string Name, string Keys, Func<Dictionary<string, string>, PositionIdSampler> Create)
    {
        public string Key => Keys.Split('=')[0];
    }
}

/// <summary>Sequential ids: 0, 1, 2, ... in every document.</summary>
public sealed class PlainSampler : PositionIdSampler
{
    /// <inheritdoc/>
    protected override void Sample(Span<int> ids, DocumentInRow document, ref KeyedRandom random) { }
}

/// <summary>
/// PoSE (arXiv 2309.10400, section 3): a document of L tokens is cut into N chunks of random lengths. Chunk i is shifted by a
/// bias u_i drawn uniformly from {u_(i-1), ..., target - L}, with u_0 = 0 (equations 3 and 4).
/// </summary>
/// <remarks>
/// Chunk lengths follow the paper's figure 6: l_i is uniform from 1 to what leaves every later chunk a token. The released code
/// has N = 2 alone and keeps the first chunk within the first half. The text of the chunks is contiguous, the paper's choice
/// v_i = 0; its appendix A finds that this choice matters little.
/// </remarks>
/// <param name="chunks">N, 2 in the paper; a shorter document gets one chunk per token.</param>
public sealed class PoseSampler(int chunks = 2) : PositionIdSampler
{
    /// <inheritdoc/>
    protected override void Sample(Span<int> ids, DocumentInRow document, ref KeyedRandom random)
    {
        var count = Math.Min(chunks, ids.Length);
        var (start, bias) = (0, 0);
        for (var chunk = 0; chunk < count; chunk++)
        {
            var later = count - chunk - 1;
            var length = later == 0 ? ids.Length - start : random.Between(1, ids.Length - start - later);
            bias = chunk == 0 ? 0 : random.Between(bias, document.Target - ids.Length);
            Shift(ids.Slice(start, length), bias);
            start += length;
        }
    }
}

/// <summary>
/// Randomized positional encodings (Ruoss et al., arXiv 2305.16843, section 3): the n tokens of a document get n of the target's
/// positions, drawn without replacement, in ascending order. The paper draws one set per training step; here each document has
/// its own, so that a step covers more of the range.
/// </summary>
/// <remarks>
/// The authors' code (google-deepmind/randomized_positional_encodings, models/positional_encodings.py, commit 57bc5d0) draws so
/// too, in training and in evaluation. Here evaluation has sequential positions.
/// </remarks>
public sealed class RandomizedSampler : PositionIdSampler
{
    /// <inheritdoc/>
    protected override void Sample(Span<int> ids, DocumentInRow document, ref KeyedRandom random) =>
        random.Choose(ids, document.Target);
}

/// <summary>
/// SHAPE (Kiyono et al., arXiv 2109.05644, section 3): all ids of a document are shifted by one k, uniform in {0, ..., K}. K is
/// at most target - row length, the same for every document. Methods that depend on distances only are unaffected, up to rounding.
/// </summary>
/// <remarks>
/// In the authors' code (butsugiri/shape, onmt/modules/embeddings.py, commit a2b04a2) the upper end is not drawn: k is below the
/// lesser of K = 500 and what the position table has left. In evaluation rows begin at position K there, and at 0 in the paper.
/// Here they begin at 0: no method looks at where a document begins (<c>score --position-offset</c> shows it).
/// </remarks>
/// <param name="maxShift">K, 500 in the paper.</param>
public sealed class ShapeSampler(int maxShift = int.MaxValue) : PositionIdSampler
{
    /// <inheritdoc/>
    protected override void Sample(Span<int> ids, DocumentInRow document, ref KeyedRandom random) =>
        Shift(ids, random.Between(0, Math.Min(maxShift, document.Target - document.RowLength)));
}

/// <summary>
/// Random padding (Tao et al., arXiv 2305.04859). The paper pads an input of n tokens to the target and puts a random number of the
/// m = target - n padding tokens in front, so that late positions are trained as often as early ones. Padding is never attended
/// to, so here the ids are shifted by that number and no padding is made. Unlike SHAPE's, the range grows as the document gets
/// shorter.
/// </summary>
/// <remarks>Of the paper, abstract and introduction were read, and no code is public. That the number is uniform in {0, ..., m} is this code's choice.</remarks>
public sealed class RandomPaddingSampler : PositionIdSampler
{
    /// <inheritdoc/>
    protected override void Sample(Span<int> ids, DocumentInRow document, ref KeyedRandom random) =>
        Shift(ids, random.Between(0, document.Target - ids.Length));
}

/// <summary>
/// CREAM, continuity-relativity indexing with a Gaussian middle (arXiv 2406.07138). A document of N tokens has a head, at the
/// target's first positions, a middle, and a tail, at its last. Head and tail are N/3 tokens, or 4 times the factor = target / N,
/// equally often. The middle is contiguous. With x = floor of a draw from N(1 + factor, sigma^2) limited to [2, 2 factor], its last
/// position is uniform from head + (middle - 1) x/2 to N x/2 - tail - 1.
/// </summary>
/// <remarks>
/// From the authors' code (bigai-nlco/CREAM, src/train.py, commit 1d15c73); of the paper only the abstract was read. The abstract
/// has a truncated Gaussian; the code clamps a draw to the limits, and so does this. In the code every document has the trained
/// length and the factor is whole; here both are the document's own, and head and tail are at most N/3. The code draws the size
/// of head and tail once in 3,000 documents; here each document draws it. The code also takes the text of a longer document from
/// the drawn positions; here the text is contiguous.
/// </remarks>
/// <param name="sigma">Standard deviation of the draw, 3 in the paper, in halves of the trained length.</param>
public sealed class CreamSampler(double sigma = 3) : PositionIdSampler
{
    /// <inheritdoc/>
    protected override void Sample(Span<int> ids, DocumentInRow document, ref KeyedRandom random)
    {
        var factor = document.Target / (double)ids.Length;
        var third = ids.Length / 3;
        var ends = random.Below(2) == 0 ? third : (int)Math.Min(third, 4 * Math.Floor(factor));
        var middle = ids.Length - (2 * ends);
        var reach = Math.Floor(Math.Clamp(1 + factor + (sigma * Normal(ref random)), 2, 2 * factor)) / 2;
        var last = random.Between((int)(ends + ((middle - 1) * reach)), (int)(reach * ids.Length) - ends - 1);
        Shift(ids.Slice(ends, middle), last - (ends + middle - 1));
        Shift(ids[(ends + middle)..], document.Target - ids.Length);
    }

    /// <summary>A draw from N(0, 1), by Box and Muller.</summary>
    private static double Normal(ref KeyedRandom random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextUnit())) * Math.Cos(2 * Math.PI * random.NextUnit());
}

/// <summary>
/// CLEX's positions (arXiv 2310.16450): a scale t uniform in {1, ..., target / row length}, and positions drawn
/// without replacement below t times the row length, in order, with the first and the last always among them.
/// </summary>
/// <remarks>
/// As in DAMO-NLP-SG/CLEX, CLEX/clex_layer.py, for rows of the original length; each document draws its own t here, each forward
/// there. For rows of k times the original length the code divides positions by k; here t then begins at k.
/// </remarks>
public sealed class ClexSampler : PositionIdSampler
{
    /// <inheritdoc/>
    protected override void Sample(Span<int> ids, DocumentInRow document, ref KeyedRandom random)
    {
        var extent = document.RowLength * random.Between(1, document.Target / document.RowLength);
        if (ids.Length > 1)
        {
            random.Choose(ids[1..^1], extent - 2);
            Shift(ids[1..^1], 1);
            ids[^1] = extent - 1;
        }
    }
}
