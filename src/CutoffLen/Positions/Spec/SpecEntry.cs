using CutoffLen.Common;

namespace CutoffLen.Positions.Spec;

/// <summary>A property that tests check of every method, unless its entry lists it as an exception.</summary>
public enum PositionProperty
{
    /// <summary>At factor 1 and within the native length it equals vanilla RoPE.</summary>
    VanillaAtFactorOne,

    /// <summary>Rotations change the norm of vectors only by the attention scale.</summary>
    ConstantNorm,

    /// <summary>The score of two given vectors depends only on their distance.</summary>
    DistanceOnly,

    /// <summary>The bands contain every causal pair of a document.</summary>
    CoversEveryPair,
}

/// <summary>A position method or a modifier: its name in specs, its keys and its source.</summary>
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

    /// <summary>Whether it scales or reorders all numbers of a head. A model that rotates a part of each head has no place for it.</summary>
    public bool EncodesWholeHeads { get; init; }

    /// <summary>The properties that it lacks, each with the reason.</summary>
    public IReadOnlyDictionary<PositionProperty, string> Exceptions { get; init; } = new Dictionary<PositionProperty, string>();

    /// <summary>The key of that name, which must be one of its own.</summary>
    internal SpecKey Key(string name) => Keys.First(key => key.Name == name);

    /// <summary>The error that a key does not allow a value.</summary>
    internal UserException NotAllowed(SpecKey key, string value) => new($"{Name}'s {key.Name} must be {key.Allowed}, not '{value}'");
}

/// <summary>A position method of the registry.</summary>
public sealed record MethodEntry(
    string Name, string Summary, string Paper, IReadOnlyList<SpecKey> Keys, Func<SpecPart, PositionModel, PositionMethod> Create)
    : SpecEntry(Name, Summary, Paper, Keys)
{
    /// <summary><c>auto</c>: the method of a checkpoint, resolved once the checkpoint is known.</summary>
    public static MethodEntry Auto { get; } = new("auto", "What the checkpoint's config.json says.", "", [], (_, _) =>
        throw new UserException("the position method 'auto' needs a checkpoint that says what it is; name a method instead"));

    /// <summary>A spec of it that works for this model, with every required key.</summary>
    public Func<PositionModel, string> Example { get; init; } = _ => Name;

    /// <summary>
    /// A spec of it that must equal vanilla RoPE within the native length; null where
    /// <see cref="PositionProperty.VanillaAtFactorOne"/> is among the exceptions.
    /// </summary>
    public Func<PositionModel, string>? Vanilla { get; init; } = _ => $"{Name}:factor=1";
}

/// <summary>A modifier of the registry: it changes the bands or frequencies of another method.</summary>
public sealed record ModifierEntry(
    string Name, string Summary, string Paper, IReadOnlyList<SpecKey> Keys, Func<SpecPart, PositionModel, PositionMethod, PositionMethod> Apply)
    : SpecEntry(Name, Summary, Paper, Keys);

/// <summary>A name for a whole spec, as published.</summary>
/// <param name="Name">As written in place of the spec.</param>
/// <param name="Summary">What it does, in one line.</param>
/// <param name="Paper">arXiv id or address of the source.</param>
/// <param name="Spec">What it stands for, which is what runs and results show.</param>
public sealed record PresetEntry(string Name, string Summary, string Paper, string Spec) : SpecEntry(Name, Summary, Paper, []);
