using System.Globalization;
using CutoffLen.Common;

namespace CutoffLen.Positions.Spec;

/// <summary>One method or modifier of a spec with the values given for its keys.</summary>
public sealed class SpecPart
{
    private readonly IReadOnlyDictionary<string, string> values;

    internal SpecPart(SpecEntry entry, IReadOnlyDictionary<string, string> values)
    {
        Entry = entry;
        this.values = values;
    }

    /// <summary>The registry's entry.</summary>
    public SpecEntry Entry { get; }

    /// <summary>The canonical name.</summary>
    public string Name => Entry.Name;

    /// <summary>Whether the key was given (or filled in from the model and the target).</summary>
    public bool Has(string key) => values.ContainsKey(key);

    /// <summary>The key's number, or its default.</summary>
    public double Number(string key) => double.Parse(Value(key), CultureInfo.InvariantCulture);

    /// <summary>The key's number, or null when it was not given and has no default.</summary>
    public double? NumberOrNull(string key) => Find(key) is null ? null : Number(key);

    /// <summary>The key's count of tokens, or its default.</summary>
    public int Tokens(string key) => int.Parse(Value(key), CultureInfo.InvariantCulture);

    /// <summary>The key's flag, or its default.</summary>
    public bool Flag(string key) => Value(key) == "true";

    /// <summary>The key's word, or its default.</summary>
    public string Word(string key) => Value(key);

    /// <summary>The key's list, or null when it was not given.</summary>
    public double[]? NumbersOrNull(string key) =>
        Find(key)?.Split('/').Select(item => double.Parse(item, CultureInfo.InvariantCulture)).ToArray();

    /// <summary>NAME or NAME:key=value,... with the keys in the registry's order.</summary>
    public override string ToString()
    {
        var given = Entry.Keys.Where(key => Has(key.Name)).Select(key => $"{key.Name}={values[key.Name]}");
        var text = string.Join(',', given);
        return text.Length == 0 ? Name : $"{Name}:{text}";
    }

    /// <summary>The same part with every default filled in that depends on the model or the target.</summary>
    internal SpecPart Resolve(PositionModel model, int? targetLength)
    {
        var part = this;
        foreach (var key in Entry.Keys.Where(key => !Has(key.Name)))
        {
            if (key.IsRequired)
            {
                throw new UserException($"'{this}' lacks the key {key.Name}: {key.Meaning} ({key.Allowed})");
            }

            if (key.Derive is { } derive)
            {
                // Later defaults may rest on earlier ones.
                part = part.With(key.Name, key.Canonical(derive(part, model, targetLength)));
            }
        }

        return part;
    }

    /// <summary>The same part with one value more, in canonical text.</summary>
    internal SpecPart With(string key, string value) => new(Entry, new Dictionary<string, string>(values) { [key] = value });

    private string? Find(string key) => values.GetValueOrDefault(key) ?? Entry.Key(key).Standard;

    private string Value(string key) =>
        Find(key) ?? throw new InvalidOperationException($"'{this}' was not resolved: {key} has no value");
}
