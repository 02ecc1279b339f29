namespace CutoffLen.Positions.Spec;

/// <summary>What the tests hold of every method, unless its entry says why not.</summary>
public enum PositionTheory
{
    /// <summary>At factor 1 and within the native length it is vanilla RoPE.</summary>
    VanillaAtFactorOne,

    /// <summary>Every rotation changes lengths of vectors by the one attention scale only.</summary>
    ConstantNorm,

    /// <summary>The score of two given vectors depends on their distance alone.</summary>
    DistanceOnly,

    /// <summary>The bands hold every causal pair of a document.</summary>
    CoversEveryPair,
}

/// <summary>A word of the spec grammar: a position method or a modifier, its keys and where it comes from.</summary>
/// <param name="Name">As written in a spec, in kebab-case.</param>
/// <param name="Summary">What it does, in one line.</param>
/// <param name="Paper">arXiv id or address of the source.</param>
/// <param name="Keys">Its keys, in the order in which specs print them.</param>
public abstract record SpecEntry(string Name, string Summary, string Paper, IReadOnlyList<SpecKey> Keys)
{
    /// <summary>Other names it is known by.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>Whether the encoding of a token may depend on how many tokens follow it.</summary>
    public bool DependsOnLength { get; init; }

    /// <summary>Whether it needs more than rotations under one causal mask: other masks, several bands, biases, magnitudes.</summary>
    public bool AltersAttention { get; init; }

    /// <summary>The theories that do not hold of it, each with the reason.</summary>
    public IReadOnlyDictionary<PositionTheory, string> Exceptions { get; init; } = new Dictionary<PositionTheory, string>();

    /// <summary>The key of that name, which must be one of its own.</summary>
    internal SpecKey Key(string name) => Keys.First(key => key.Name == name);
}

/// <summary>A position method of the registry.</summary>
public sealed record MethodEntry(
    string Name, string Summary, string Paper, IReadOnlyList<SpecKey> Keys, Func<SpecPart, PositionModel, PositionMethod> Create)
    : SpecEntry(Name, Summary, Paper, Keys)
{
    /// <summary>A spec of it that works for this model, with every required key.</summary>
    public Func<PositionModel, string> Example { get; init; } = _ => Name;

    /// <summary>
    /// A spec of it that must equal vanilla RoPE within the native length; null where
    /// <see cref="PositionTheory.VanillaAtFactorOne"/> is among the exceptions.
    /// </summary>
    public Func<PositionModel, string>? Vanilla { get; init; } = _ => $"{Name}:factor=1";
}

/// <summary>A modifier of the registry: it changes what another method answers.</summary>
public sealed record ModifierEntry(
    string Name, string Summary, string Paper, IReadOnlyList<SpecKey> Keys, Func<SpecPart, PositionModel, PositionMethod, PositionMethod> Apply)
    : SpecEntry(Name, Summary, Paper, Keys);
