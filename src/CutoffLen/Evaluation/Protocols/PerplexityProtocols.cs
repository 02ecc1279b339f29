using CutoffLen.Common;

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
    /// The protocol of a name, with another stride when one is given, here or in the name as results print it
    /// (<c>pi-s512</c>, <c>hf-stride-s1024</c>).
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
