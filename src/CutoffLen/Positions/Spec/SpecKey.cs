using System.Globalization;
using CutoffLen.Common;

namespace CutoffLen.Positions.Spec;

/// <summary>What a key of the spec grammar holds.</summary>
public enum SpecKeyKind
{
    /// <summary>A decimal number.</summary>
    Number,

    /// <summary>A count of tokens, written <c>4096</c> or <c>4k</c>.</summary>
    Tokens,

    /// <summary><c>true</c> or <c>false</c>.</summary>
    Flag,

    /// <summary>Several numbers with slashes between them: <c>1/1.5/2</c>.</summary>
    Numbers,

    /// <summary>One of a few words.</summary>
    Word,
}

/// <summary>
/// A key of a method or modifier: what it means, what is allowed and what holds when it is not given. Values are kept
/// as canonical text, so that specs compare and print alike however they were written.
/// </summary>
public sealed class SpecKey
{
    /// <summary>The longest length any key takes, in tokens.</summary>
    public const int LongestTokens = 1 << 24;

    private const int MostNumbers = 1024;
    private readonly double least;
    private readonly double most;
    private readonly string[] words;

    private SpecKey(string name, SpecKeyKind kind, string? standard, string meaning, double least, double most, string[] words)
    {
        (Name, Kind, Meaning, this.least, this.most, this.words) = (name, kind, meaning, least, most, words);
        Standard = standard is null ? null : Canonical(standard);
        DefaultText = Standard ?? "none";
    }

    /// <summary>As written in a spec, in snake_case.</summary>
    public string Name { get; }

    /// <summary>What it holds.</summary>
    public SpecKeyKind Kind { get; }

    /// <summary>One line for people.</summary>
    public string Meaning { get; }

    /// <summary>The value when it is not given, or null where there is none or the model and target decide.</summary>
    public string? Standard { get; }

    /// <summary>The default as shown to people, for example "target / original".</summary>
    public string DefaultText { get; private init; }

    /// <summary>Whether a spec without it is an error.</summary>
    public bool IsRequired { get; private init; }

    /// <summary>The default that depends on the other keys, the model and the target length in tokens; null where none does.</summary>
    internal Func<SpecPart, PositionModel, int?, string>? Derive { get; private init; }

    /// <summary>The values that are allowed, for people.</summary>
    public string Allowed => Kind switch
    {
        SpecKeyKind.Number => $"a number from {Text(least)} to {Text(most)}",
        SpecKeyKind.Tokens => $"a whole number of tokens from {Text(least)} to {Text(most)}",
        SpecKeyKind.Flag => "true or false",
        SpecKeyKind.Numbers => $"numbers from {Text(least)} to {Text(most)} with '/' between them",
        _ => $"one of {string.Join(", ", words)}",
    };

    /// <summary>A number in [<paramref name="least"/>, <paramref name="most"/>]; without default when <paramref name="standard"/> is null.</summary>
    public static SpecKey Number(string name, double least, double most, double? standard, string meaning) =>
        new(name, SpecKeyKind.Number, standard is { } value ? Text(value) : null, meaning, least, most, []);

    /// <summary>A count of tokens of at least <paramref name="least"/>.</summary>
    public static SpecKey Tokens(string name, int least, int? standard, string meaning) =>
        new(name, SpecKeyKind.Tokens, standard?.ToString(CultureInfo.InvariantCulture), meaning, least, LongestTokens, []);

    /// <summary>True or false.</summary>
    public static SpecKey Flag(string name, bool standard, string meaning) =>
        new(name, SpecKeyKind.Flag, standard ? "true" : "false", meaning, 0, 1, []);

    /// <summary>A list of numbers, without default.</summary>
    public static SpecKey Numbers(string name, double least, double most, string meaning) =>
        new(name, SpecKeyKind.Numbers, null, meaning, least, most, []);

    /// <summary>One of <paramref name="words"/>, the first by default.</summary>
    public static SpecKey Word(string name, string meaning, params string[] words) =>
        new(name, SpecKeyKind.Word, words[0], meaning, 0, 0, words);

    /// <summary>The same key with a default worked out from the other keys, the model and the target.</summary>
    internal SpecKey DefaultsTo(string text, Func<SpecPart, PositionModel, int?, double> derive) =>
        new(Name, Kind, null, Meaning, least, most, words)
        {
            DefaultText = text,
            Derive = (part, model, target) => Text(Math.Clamp(derive(part, model, target), least, most)),
        };

    /// <summary>The same key, an error when it is not given.</summary>
    internal SpecKey Required() =>
        new(Name, Kind, null, Meaning, least, most, words) { DefaultText = "required", IsRequired = true };

    /// <summary>A number as specs print it: the shortest text that reads back to the same number, without '+'.</summary>
    public static string Text(double number) =>
        number.ToString("R", CultureInfo.InvariantCulture).Replace("E+", "e", StringComparison.Ordinal).Replace('E', 'e');

    /// <summary>The one way a value is written.</summary>
    /// <exception cref="FormatException">It is not of this kind or out of range.</exception>
    internal string Canonical(string text) => Kind switch
    {
        SpecKeyKind.Number => Text(NumberIn(text)),
        SpecKeyKind.Tokens => CountIn(text),
        SpecKeyKind.Flag when bool.TryParse(text, out var flag) => flag ? "true" : "false",
        SpecKeyKind.Word when words.Contains(text, StringComparer.OrdinalIgnoreCase) => text.ToLowerInvariant(),
        SpecKeyKind.Numbers => ListIn(text),
        _ => throw new FormatException(),
    };

    private double NumberIn(string text)
    {
        const NumberStyles Style = NumberStyles.Float & ~NumberStyles.AllowTrailingWhite & ~NumberStyles.AllowLeadingWhite;
        // NaN fails both comparisons.
        return double.TryParse(text, Style, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
            ? number
            : throw new FormatException();
    }

    private string CountIn(string text)
    {
        try
        {
            var count = Lengths.ParseOne(text);
            return count >= least && count <= most ? count.ToString(CultureInfo.InvariantCulture) : throw new FormatException();
        }
        catch (UserException)
        {
            throw new FormatException();
        }
    }

    private string ListIn(string text)
    {
        var items = text.Split('/');
        return items.Length <= MostNumbers ? string.Join('/', items.Select(item => Text(NumberIn(item)))) : throw new FormatException();
    }
}
