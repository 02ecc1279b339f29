using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.ComponentModel;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using CutoffLen.Common;
using CutoffLen.Evaluation;

namespace CutoffLen.Configuration;

/// <summary>What was written for a key: a text, a list, a mapping as an item of a list, or nothing (null).</summary>
internal sealed record ConfigText
{
    public static ConfigText Null { get; } = new();

    /// <summary>The text; null for anything else.</summary>
    public string? Text { get; private init; }

    /// <summary>The items of a list; null for anything else.</summary>
    public IReadOnlyList<ConfigText>? Items { get; private init; }

    /// <summary>The keys of a mapping with their texts; null for anything else.</summary>
    public IReadOnlyList<(string Name, ConfigText Text)>? Keys { get; private init; }

    public static ConfigText Of(string text) => new() { Text = text };

    public static ConfigText List(IEnumerable<ConfigText> items) => new() { Items = [.. items] };

    public static ConfigText Mapping(IEnumerable<(string Name, ConfigText Text)> keys) => new() { Keys = [.. keys] };
}

/// <summary>A key of the configuration: a property of one of <see cref="RunConfig"/>'s sections.</summary>
public sealed class ConfigKey
{
    private static readonly string[] RowKeys = ["rope", "positions", "target_len"];

    private readonly PropertyInfo section;
    private readonly PropertyInfo property;
    private readonly Type type;
    private readonly bool canBeNull;
    private readonly RangeAttribute? range;
    private readonly bool isLength;
    private readonly List<string> words;
    private readonly IReadOnlyList<SynonymAttribute> synonyms;

    internal ConfigKey(PropertyInfo section, PropertyInfo property)
    {
        (this.section, this.property) = (section, property);
        Name = SnakeCase(property.Name);
        Aliases = property.GetCustomAttribute<AlsoAttribute>()?.Names ?? [];
        IsList = property.PropertyType.IsGenericType && property.PropertyType.GetGenericTypeDefinition() == typeof(IReadOnlyList<>);
        var written = IsList ? property.PropertyType.GetGenericArguments()[0] : property.PropertyType;
        type = Nullable.GetUnderlyingType(written) ?? written;
        canBeNull = new NullabilityInfoContext().Create(property).WriteState == NullabilityState.Nullable;
        range = property.GetCustomAttribute<RangeAttribute>();
        isLength = property.IsDefined(typeof(TokensAttribute));
        words = type.IsEnum ? [.. Enum.GetNames(type).Select(SnakeCase)] : property.GetCustomAttribute<AllowedValuesAttribute>()?.Values.Cast<string>().ToList() ?? [];
        synonyms = [.. property.GetCustomAttributes<SynonymAttribute>()];
    }

    /// <summary>The name in files: the property's in snake_case.</summary>
    public string Name { get; }

    /// <summary>Other names that are accepted.</summary>
    public IReadOnlyList<string> Aliases { get; }

    /// <summary>What it is, for people; empty for keys that only files have.</summary>
    public string Description => property.GetCustomAttribute<DescriptionAttribute>()?.Description ?? "";

    /// <summary>Whether its value is a list.</summary>
    public bool IsList { get; }

    /// <summary>Whether a resumed run must have the value that the checkpoint's run had, as text.</summary>
    public bool IsCompared => !property.IsDefined(typeof(NotComparedAttribute));

    /// <summary>The section that sorts it.</summary>
    public string Section => SnakeCase(section.Name);

    /// <summary>In words: what may stand for it.</summary>
    public string Allowed
    {
        get
        {
            var kind = words.Count > 0 ? string.Join(", ", words)
                : isLength ? "a length in tokens such as 8192 or 8k"
                : type == typeof(bool) ? "true or false"
                : type == typeof(double) ? "a number"
                : type == typeof(SweepRow) ? $"position methods, each a text or a mapping of {string.Join(", ", RowKeys)}"
                : type == typeof(string) ? "text"
                : "a whole number";
            return (IsList ? "a list of " : "") + (words.Count > 0 && !IsList ? "one of " : "") + kind + Ends() + (canBeNull ? ", or null" : "");
        }
    }

    /// <summary>The value in a configuration.</summary>
    public object? Get(RunConfig config) => property.GetValue(section.GetValue(config));

    /// <summary>Checks the value in a configuration.</summary>
    /// <exception cref="UserException">It is not allowed; the message says what is.</exception>
    internal void Check(RunConfig config)
    {
        try
        {
            Parse(Format(Get(config)));
        }
        catch (FormatException fault)
        {
            throw new UserException($"{Name}: {fault.Message}", fault);
        }
    }

    /// <summary>Sets the value in a configuration that is being made.</summary>
    internal void Set(RunConfig config, object? value) => property.SetValue(section.GetValue(config), value);

    /// <summary>The value that a text means.</summary>
    /// <exception cref="FormatException">It means none; the message says what is allowed.</exception>
    internal object? Parse(ConfigText text)
    {
        if (text == ConfigText.Null)
        {
            return canBeNull ? null : throw new FormatException($"null is not {Allowed}");
        }

        if (!IsList)
        {
            return ParseItem(text.Text ?? throw new FormatException($"a list is not {Allowed}"));
        }

        var items = text.Items ?? [text];
        var list = (IList)Activator.CreateInstance(typeof(List<>).MakeGenericType(type))!;
        foreach (var value in type == typeof(SweepRow) ? items.Select(ParseRow)
            : isLength ? items.SelectMany(item => ParseLengths(TextOf(item))).Distinct().Order().Cast<object>()
            : items.Select(item => ParseItem(TextOf(item))))
        {
            list.Add(value);
        }

        return list;
    }

    /// <summary>The texts that <see cref="Parse"/> reads back to a value.</summary>
    internal ConfigText Format(object? value) => value switch
    {
        null => ConfigText.Null,
        IEnumerable list and not string => ConfigText.List(list.Cast<object>().Select(Format)),
        SweepRow { Positions: null, TargetLen: null } row => ConfigText.Of(row.Rope),
        SweepRow row => ConfigText.Mapping(
            RowKeys.Zip(new object?[] { row.Rope, row.Positions, row.TargetLen }, (name, part) => (name, Format(part))).Where(key => key.Item2 != ConfigText.Null)),
        _ => ConfigText.Of(FormatItem(value)),
    };

    private static string SnakeCase(string name) => JsonNamingPolicy.SnakeCaseLower.ConvertName(name);

    private static string TextOf(ConfigText item) => item.Text ?? throw new FormatException("the items of a list must be texts or numbers");

    private static SweepRow ParseRow(ConfigText item)
    {
        if (item.Keys is null)
        {
            return new SweepRow(TextOf(item));
        }

        var values = new Dictionary<string, object?>();
        foreach (var (name, text) in item.Keys)
        {
            var key = ConfigKeys.Find(name);
            if (key is null || !RowKeys.Contains(key.Name))
            {
                throw new FormatException($"'{name}' is not a key of a position method{Spelling.Suggest(name, RowKeys)}; they are {string.Join(", ", RowKeys)}");
            }

            try
            {
                if (!values.TryAdd(key.Name, key.Parse(text)))
                {
                    throw new FormatException("given twice");
                }
            }
            catch (FormatException fault)
            {
                throw new FormatException($"{name}: {fault.Message}", fault);
            }
        }

        return values.GetValueOrDefault("rope") is string rope
            ? new SweepRow(rope, (string?)values.GetValueOrDefault("positions"), (int?)values.GetValueOrDefault("target_len"))
            : throw new FormatException("rope is missing in a mapping");
    }

    private static string FormatItem(object value) => value switch
    {
        bool flag => flag ? "true" : "false",
        Enum word => SnakeCase(word.ToString()),
        double number => FormatNumber(number),
        _ => string.Format(CultureInfo.InvariantCulture, "{0}", value),
    };

    // 2.0e-05, not 2E-05, which Python's YAML takes for a word.
    private static string FormatNumber(double number)
    {
        var text = number.ToString("R", CultureInfo.InvariantCulture).ToLowerInvariant();
        return text.Contains('e') && !text.Contains('.') ? text.Replace("e", ".0e") : text;
    }

    // The largest number of the type stands for no bound.
    private string Ends() => range is null ? "" : FormattableString.Invariant(
        $", {(range.MinimumIsExclusive ? "above" : "at least")} {range.Minimum}")
        + (range.Maximum is int.MaxValue or double.MaxValue ? "" : FormattableString.Invariant(
            $" and {(range.MaximumIsExclusive ? "below" : "at most")} {range.Maximum}"));

    private object ParseItem(string text)
    {
        if (isLength)
        {
            return ParseLengths(text) is [var length] ? length : throw Wrong(text);
        }

        if (type == typeof(bool))
        {
            return bool.TryParse(text, out var flag) ? flag : throw Wrong(text);
        }

        return words.Count > 0 ? Word(text) : type == typeof(string) ? text : Number(text);
    }

    private object Word(string text)
    {
        var wanted = text.Trim().ToLowerInvariant();
        var word = synonyms.FirstOrDefault(synonym => synonym.Word == wanted)?.Meaning ?? words.FirstOrDefault(known => known == wanted);
        return word is null ? throw Wrong(text) : type.IsEnum ? Enum.GetValues(type).GetValue(IndexOf(word))! : word;
    }

    // Enum.GetNames and GetValues have one order.
    private int IndexOf(string word) => words.TakeWhile(known => known != word).Count();

    private object Number(string text)
    {
        if (type == typeof(int) && int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) && range?.IsValid(whole) != false)
        {
            return whole;
        }

        return type == typeof(double) && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && range?.IsValid(number) != false
            ? number
            : throw Wrong(text);
    }

    private IReadOnlyList<int> ParseLengths(string text)
    {
        try
        {
            var lengths = Lengths.Parse(text);
            return lengths.All(length => range?.IsValid(length) != false) ? lengths : throw Wrong(text);
        }
        catch (UserException fault)
        {
            throw new FormatException(fault.Message, fault);
        }
    }

    private FormatException Wrong(string text) => new($"'{text}' is not {Allowed}");
}

/// <summary>All keys, read once from the sections of <see cref="RunConfig"/>.</summary>
public static class ConfigKeys
{
    /// <summary>All keys, section by section.</summary>
    public static IReadOnlyList<ConfigKey> All { get; } =
        [.. typeof(RunConfig).GetProperties().SelectMany(section => section.PropertyType.GetProperties().Select(key => new ConfigKey(section, key)))];

    private static readonly Dictionary<string, ConfigKey> ByName =
        All.SelectMany(key => key.Aliases.Prepend(key.Name).Select(name => (name, key))).ToDictionary(pair => pair.name, pair => pair.key);

    /// <summary>Every name and alias.</summary>
    public static IEnumerable<string> Names => ByName.Keys;

    /// <summary>The key of a name or alias; dashes count as underscores. Null when there is none.</summary>
    public static ConfigKey? Find(string name) => ByName.GetValueOrDefault(name.Replace('-', '_'));
}
