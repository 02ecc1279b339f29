namespace CutoffLen.Common;

/// <summary>The numbers that a key of the configuration may have.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class RangeAttribute : Attribute
{
    /// <summary>The smallest allowed number.</summary>
    public double Least { get; init; } = double.NegativeInfinity;

    /// <summary>The largest allowed number.</summary>
    public double Most { get; init; } = double.PositiveInfinity;

    /// <summary>All allowed numbers are larger than this.</summary>
    public double Above { get; init; } = double.NegativeInfinity;

    /// <summary>All allowed numbers are smaller than this.</summary>
    public double Below { get; init; } = double.PositiveInfinity;

    /// <summary>Whether a number is allowed; NaN and the infinities never are.</summary>
    public bool Holds(double number) =>
        double.IsFinite(number) && number >= Least && number <= Most && number > Above && number < Below;

    /// <inheritdoc/>
    public override string ToString()
    {
        var ends = new[] { (Least, "at least"), (Above, "above"), (Most, "at most"), (Below, "below") };
        var words = ends.Where(end => double.IsFinite(end.Item1)).Select(end => $"{end.Item2} {end.Item1}");
        return string.Join(" and ", words);
    }
}

/// <summary>The words that a key of the configuration may have.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class OneOfAttribute(params string[] words) : Attribute
{
    /// <summary>All of them.</summary>
    public IReadOnlyList<string> Words { get; } = words;
}

/// <summary>Another word that is read as one of a key's words.</summary>
[AttributeUsage(AttributeTargets.Property, AllowMultiple = true)]
public sealed class SynonymAttribute(string word, string meaning) : Attribute
{
    /// <summary>What may be written.</summary>
    public string Word { get; } = word;

    /// <summary>What is understood.</summary>
    public string Meaning { get; } = meaning;
}

/// <summary>Other names under which a key is accepted, and reported.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class AlsoAttribute(params string[] names) : Attribute
{
    /// <summary>All of them.</summary>
    public IReadOnlyList<string> Names { get; } = names;
}

/// <summary>
/// A resumed run may have another value. Without this mark a key must be what the checkpoint's run had: it is compared as text.
/// </summary>
/// <param name="because">Why: the value changes no bit of the trained model, or is compared in a resolved form.</param>
[AttributeUsage(AttributeTargets.Property)]
public sealed class NotComparedAttribute(string because) : Attribute
{
    /// <summary>Why it is not compared.</summary>
    public string Because { get; } = because;
}

/// <summary>The key is a length in tokens, written as <see cref="Lengths"/> has it: 8192, 8k, in lists 1k..32k.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class TokensAttribute : Attribute;
