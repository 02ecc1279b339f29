using System.Text.Json.Nodes;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>Modules by name, as PEFT's target_modules and exclude_modules select them.</summary>
/// <param name="Names">A module is selected whose name is one of these, or ends in a dot and one of these.</param>
/// <param name="Pattern">Instead of names: a regular expression for whole names, or all-linear. Null for names.</param>
public sealed record ModuleSelection(IReadOnlyList<string> Names, string? Pattern)
{
    private const string AllLinear = "all-linear";

    /// <summary>Every linear layer but the output head.</summary>
    public bool IsAllLinear => string.Equals(Pattern, AllLinear, StringComparison.OrdinalIgnoreCase);

    /// <summary>Names, or the pattern alone: how people write and read it.</summary>
    public IReadOnlyList<string> Texts => Pattern is null ? Names : [Pattern];

    /// <summary>Modules by their last names.</summary>
    public static ModuleSelection Named(params IReadOnlyList<string> names) => new(names, null);

    /// <summary>Modules whose whole names match a regular expression; or all-linear.</summary>
    public static ModuleSelection Matching(string pattern) => new([], pattern);

    /// <summary>
    /// What a list in a configuration means. A single text that is all-linear, or has other characters than a module's name
    /// (letters, digits, _ and .), is a pattern.
    /// </summary>
    public static ModuleSelection Of(IReadOnlyList<string> texts) =>
        texts is [var text] && (text == AllLinear || !text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.')) ? Matching(text) : Named(texts);

    /// <summary>Whether a name is <paramref name="suffix"/>, or ends in a dot and it.</summary>
    internal static bool IsSuffix(string suffix, string name) =>
        name.EndsWith(suffix, StringComparison.Ordinal) && (name.Length == suffix.Length || name[^(suffix.Length + 1)] == '.');

    /// <summary>The selection by names or by regular expression; all-linear is not known here.</summary>
    /// <param name="key">The setting, for messages.</param>
    internal Func<string, bool> Matcher(string key) =>
        Pattern is null ? name => Names.Any(suffix => IsSuffix(suffix, name)) : ModulePattern.Full(key, Pattern).Matches;

    /// <summary>PEFT's form: a list, or a text.</summary>
    internal JsonNode ToJson() => Pattern is null ? new JsonArray([.. Names.Select(name => (JsonNode)name)]) : Pattern;
}
