using System.Globalization;
using CutoffLen.Common;

namespace CutoffLen.Positions.Spec;

/// <summary>The type of a key's value.</summary>
public enum SpecKeyKind
{
    /// <summary>A decimal number (double).</summary>
    Number,

    /// <summary>A count of tokens, written <c>4096</c> or <c>4k</c> (int).</summary>
    Tokens,

    /// <summary><c>true</c> or <c>false</c> (bool).</summary>
    Flag,

    /// <summary>Several numbers with slashes between them, <c>1/1.5/2</c> (double[]).</summary>
    Numbers,

    /// <summary>One of a few words, in lower case (string).</summary>
    Word,
}

/// <summary>A key of a method or modifier: its type, meaning, allowed values and default.</summary>
public sealed record SpecKey
{
    /// <summary>The longest length any key takes, in tokens.</summary>
    public const int LongestTokens = 1 << 24;

    private const int MostNumbers = 1024;
    private readonly double least;
    private readonly double most;
    private readonly string[] words;

    private SpecKey(string name, SpecKeyKind kind, object? value, string meaning, double least, double most, params string[] words)
    {
        (Name, Kind, Meaning, this.least, this.most, this.words) = (name, kind, meaning, least, most, words);
        Default = value is null ? null : Parse(Text(value)) ?? throw new ArgumentException($"{name} must be {Allowed}", nameof(value));
        DefaultText = value is null ? "none" : Text(value);
    }

    /// <summary>As written in a spec, in snake_case.</summary>
    public string Name { get; }

    /// <summary>The type of its value.</summary>
    public SpecKeyKind Kind { get; }

    /// <summary>One line for people.</summary>
    public string Meaning { get; }

    /// <summary>The value when the key is not given; null where there is none, or where model and target decide.</summary>
    public object? Default { get; private init; }

    /// <summary>The default as shown to people, for example "target / original".</summary>
    public string DefaultText { get; private init; }

    /// <summary>Whether a spec without it is an error.</summary>
    public bool IsRequired { get; private init; }

    /// <summary>The default that depends on the other keys, the model and the target length in tokens; null where none does.</summary>
    internal Func<SpecPart, PositionModel, int, object>? Derive { get; private init; }

    /// <summary>The allowed values, for people.</summary>
    public string Allowed => Kind switch
    {
        SpecKeyKind.Number => $"a number from {Text(least)} to {Text(most)}",
        SpecKeyKind.Tokens => $"a whole number of tokens from {Text(least)} to {Text(most)}",
        SpecKeyKind.Flag => "true or false",
        SpecKeyKind.Numbers => $"numbers from {Text(least)} to {Text(most)} with '/' between them",
        _ => $"one of {string.Join(", ", words)}",
    };

    /// <summary>A number in [<paramref name="least"/>, <paramref name="most"/>]; <paramref name="value"/> is its default, null for none.</summary>
    public static SpecKey Number(string name, double least, double most, double? value, string meaning) =>
        new(name, SpecKeyKind.Number, value, meaning, least, most);

    /// <summary>A count of tokens of at least <paramref name="least"/>; <paramref name="value"/> is its default, null for none.</summary>
    public static SpecKey Tokens(string name, int least, int? value, string meaning) =>
        new(name, SpecKeyKind.Tokens, value, meaning, least, LongestTokens);

    /// <summary>True or false; <paramref name="value"/> is its default.</summary>
    public static SpecKey Flag(string name, bool value, string meaning) => new(name, SpecKeyKind.Flag, value, meaning, 0, 1);

    /// <summary>A list of numbers, without default.</summary>
    public static SpecKey Numbers(string name, double least, double most, string meaning) =>
        new(name, SpecKeyKind.Numbers, null, meaning, least, most);

    /// <summary>One of <paramref name="words"/>, the first by default.</summary>
    public static SpecKey Word(string name, string meaning, params string[] words) =>
        new(name, SpecKeyKind.Word, words[0], meaning, 0, 0, words);

    /// <summary>The same key with a default computed from the other keys, the model and the target, clamped to the allowed range.</summary>
    internal SpecKey DefaultsTo(string text, Func<SpecPart, PositionModel, int, double> derive) => this with
    {
        DefaultText = text,
        Derive = (part, model, target) => Value(Math.Clamp(derive(part, model, target), least, most))
            ?? throw new InvalidOperationException($"the default of {Name} is not {Allowed}"),
    };

    /// <summary>The same key, an error when it is not given.</summary>
    internal SpecKey Required() => this with { DefaultText = "required", IsRequired = true };

    /// <summary>A number as specs print it: the shortest text that reads back to the same number, without '+'.</summary>
    public static string Text(double number) =>
        number.ToString("R", CultureInfo.InvariantCulture).Replace("E+", "e", StringComparison.Ordinal).Replace('E', 'e');

    /// <summary>A value of any kind as specs print it.</summary>
    public static string Text(object value) => value switch
    {
        double number => Text(number),
        double[] numbers => string.Join('/', numbers.Select(number => Text(number))),
        bool flag => flag ? "true" : "false",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    /// <summary>The value that a text means; null where it is not of this kind or out of range.</summary>
    internal object? Parse(string text) => Kind switch
    {
        SpecKeyKind.Number => NumberIn(text),
        SpecKeyKind.Tokens => TokensIn(text),
        SpecKeyKind.Flag => bool.TryParse(text, out var flag) ? (object)flag : null,
        SpecKeyKind.Word => words.FirstOrDefault(word => word.Equals(text, StringComparison.OrdinalIgnoreCase)),
        _ => NumbersIn(text),
    };

    /// <summary>A number as this key's value; null where it is out of range, or not whole where it counts tokens.</summary>
    internal object? Value(double number) => Kind switch
    {
        // NaN fails both comparisons.
        _ when !(number >= least && number <= most) => null,
        SpecKeyKind.Number => (object)number,
        SpecKeyKind.Tokens when number == Math.Floor(number) => (int)number,
        _ => null,
    };

    private double? NumberIn(string text)
    {
        const NumberStyles Style = NumberStyles.Float & ~NumberStyles.AllowTrailingWhite & ~NumberStyles.AllowLeadingWhite;
        return double.TryParse(text, Style, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most ? number : null;
    }

    private double[]? NumbersIn(string text)
    {
        var numbers = text.Split('/').Select(NumberIn).ToArray();
        return numbers.Length <= MostNumbers && numbers.All(number => number is not null) ? [.. numbers.Select(number => number!.Value)] : null;
    }

    private object? TokensIn(string text)
    {
        try
        {
            return Value(Lengths.ParseOne(text));
        }
        catch (UserException)
        {
            return null;
        }
    }
}

/// <summary>Keys that several methods share.</summary>
internal static class CommonKeys
{
    /// <summary>The largest factor: 65536 times 256 tokens is <see cref="SpecKey.LongestTokens"/>.</summary>
    public const double LargestFactor = 65536;

    /// <summary>The native length, unless another is given.</summary>
    public static SpecKey Original { get; } = SpecKey
        .Tokens("original", 1, null, "length the model was trained at, in tokens")
        .DefaultsTo("the native length", (_, model, _) => model.NativeLength);

    /// <summary>How many times longer than the original length.</summary>
    public static SpecKey Factor { get; } = SpecKey
        .Number("factor", 1, LargestFactor, null, "how many times longer the context becomes")
        .DefaultsTo("target / native length, at least 1", (part, model, target) =>
            target / (double)(part.Has("original") ? part.Tokens("original") : model.NativeLength));

    /// <summary>A factor on queries and on keys that is 1 unless given.</summary>
    public static SpecKey AttentionFactorOfOne { get; } = SpecKey
        .Number("attention_factor", 0.001, 1000, 1, "factor on queries and keys; 1.0693 (0.1 ln(2) + 1) in the authors' code");

    /// <summary>A factor that is 1 unless given.</summary>
    public static SpecKey FactorOfOne(string meaning) => SpecKey.Number("factor", 1, LargestFactor, 1, meaning);
}
