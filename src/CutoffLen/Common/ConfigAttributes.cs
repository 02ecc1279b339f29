namespace CutoffLen.Common;

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
