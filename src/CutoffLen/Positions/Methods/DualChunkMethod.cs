using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Dual chunk attention (ChunkLlama, arXiv 2402.17463). A sequence is cut into chunks of s = chunk - window tokens. Keys have
/// their position within their chunk. Queries have that position for keys of their own chunk, min(position + s, chunk) for
/// the previous chunk, and min(2s - 1, chunk) for older chunks.
/// </summary>
public sealed class DualChunkMethod : PositionMethod
{
    private readonly double[] inverseFrequencies;
    private readonly int chunk;
    private readonly int stride;
    private readonly int? scaledBeyond;

    private DualChunkMethod(PositionModel model, int chunk, int window, int? scaledBeyond)
    {
        (inverseFrequencies, this.chunk, stride) = (model.InverseFrequencies(), chunk, chunk - window);
        this.scaledBeyond = scaledBeyond;
    }

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "dca", "Dual chunk attention: positions within chunks, one treatment each for the same, the previous and older chunks.", "2402.17463",
        [
            SpecKey.Tokens("chunk", 2, null, "largest distance that is used")
                .DefaultsTo("native length * 3/4", (_, model, _) => Math.Floor(model.NativeLength * 0.75)),
            SpecKey.Tokens("window", 1, null, "distances up to it are exact across chunks")
                .DefaultsTo("native length / 8", (_, model, _) => model.NativeLength / 8),
            SpecKey.Flag("mscale", false, "scale queries and keys by 0.05 ln(length / max) + 1, as the authors' code does and their paper's results do not"),
            SpecKey.Tokens("max", 1, null, "length beyond which mscale begins").DefaultsTo("the native length", (_, model, _) => model.NativeLength),
        ],
        Create)
    {
        AltersAttention = true,
        DependsOnLength = true,
        Vanilla = model => $"dca:chunk={2 * model.NativeLength},window=1",
        Exceptions = new Dictionary<PositionProperty, string>
        {
            [PositionProperty.DistanceOnly] = "chunks begin at fixed positions and cut distances off at the chunk",
        },
    };

    /// <summary>Only mscale depends on the length.</summary>
    public override bool DependsOnLength => scaledBeyond is not null;

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => new(inverseFrequencies, ScaleAt(length));

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var within = positions.WithinDocument();
        var frequencies = Array.ConvertAll(positions.SpanOfDocument(), span => new Frequencies(inverseFrequencies, ScaleAt(span)));
        Rotation At(Func<int, double> position) =>
            Rotation.Of(Array.ConvertAll(within, at => position(at)), inverseFrequencies.Length, token => frequencies[token]);
        var own = At(at => at % stride);
        var previous = At(at => Math.Min((at % stride) + stride, chunk));
        var older = At(_ => Math.Min((2 * stride) - 1, chunk));
        var ownFirst = positions.FirstAtLeast(token => within[token] / stride * stride);
        var previousFirst = positions.FirstAtLeast(token => ((within[token] / stride) - 1) * stride);
        return
        [
            new Band(own, own, ownFirst, [.. Enumerable.Range(0, positions.Length)]),
            new Band(previous, own, previousFirst, Array.ConvertAll(ownFirst, token => token - 1)),
            new Band(older, own, positions.StartOfDocument(), Array.ConvertAll(previousFirst, token => token - 1)),
        ];
    }

    private static DualChunkMethod Create(SpecPart part, PositionModel model)
    {
        var (chunk, window) = (part.Tokens("chunk"), part.Tokens("window"));
        return window < chunk
            ? new DualChunkMethod(model, chunk, window, part.Flag("mscale") ? part.Tokens("max") : null)
            : throw new UserException($"'{part}': window ({window}) must be smaller than chunk ({chunk})");
    }

    private double ScaleAt(int length) =>
        scaledBeyond is { } max && length > max ? (0.05 * Math.Log(length / (double)max)) + 1 : 1;
}
