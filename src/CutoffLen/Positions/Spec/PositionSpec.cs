using CutoffLen.Common;

namespace CutoffLen.Positions.Spec;

/// <summary>
/// A position method and its modifiers with typed values. Users write it as
/// <c>METHOD[:key=value,...][+MODIFIER[:...]]</c>, for example <c>yarn:factor=4,original=2048</c> or
/// <c>xpos:scale_base=512+bca:window=1024</c>. Layers with another method follow as <c>@LAYERS=SPEC</c>: <c>rope@3::4=nope</c>.
/// Two specs are equal when they print alike.
/// </summary>
public sealed record PositionSpec
{
    internal PositionSpec(SpecPart method, IReadOnlyList<SpecPart> modifiers, IReadOnlyList<LayerSpec>? layers = null) =>
        (Method, Modifiers, Layers) = (method, modifiers, layers ?? []);

    /// <summary>The method, of every layer that <see cref="Layers"/> does not name.</summary>
    public SpecPart Method { get; }

    /// <summary>The method's modifiers, in the registry's order.</summary>
    public IReadOnlyList<SpecPart> Modifiers { get; }

    /// <summary>The layers with another method; empty where all layers have the same.</summary>
    public IReadOnlyList<LayerSpec> Layers { get; }

    /// <summary>Whether the checkpoint decides (<c>auto</c>).</summary>
    public bool IsAuto => Method.Entry == MethodEntry.Auto;

    /// <summary>The same spec with every default filled in that depends on the model or the target length.</summary>
    /// <exception cref="UserException">A required key is missing.</exception>
    internal PositionSpec Resolve(PositionModel model, int targetLength) =>
        new(
            Method.Resolve(model, targetLength),
            [.. Modifiers.Select(part => part.Resolve(model, targetLength))],
            [.. Layers.Select(layers => layers with { Spec = layers.Spec.Resolve(model, targetLength) })]);

    /// <summary>The same spec with one method for every layer: <see cref="Method"/> and its modifiers.</summary>
    public PositionSpec WithoutLayers() => new(Method, Modifiers);

    /// <summary>The canonical text, which parses to an equal spec.</summary>
    public override string ToString() => string.Join('+', Modifiers.Prepend(Method)) + string.Concat(Layers);

    /// <inheritdoc/>
    public bool Equals(PositionSpec? other) => other is not null && ToString() == other.ToString();

    /// <inheritdoc/>
    public override int GetHashCode() => StringComparer.Ordinal.GetHashCode(ToString());
}

/// <summary>Layers with a method of their own.</summary>
/// <param name="Layers">The layers.</param>
/// <param name="Spec">Their method, the same for all of them.</param>
public sealed record LayerSpec(LayerSelection Layers, PositionSpec Spec)
{
    /// <summary><c>@LAYERS=SPEC</c>.</summary>
    public override string ToString() => $"@{Layers}={Spec}";
}

/// <summary>One method or modifier of a spec, with the values of its keys.</summary>
public sealed class SpecPart
{
    private readonly IReadOnlyDictionary<string, object> values; // each of the type that SpecKeyKind names

    internal SpecPart(SpecEntry entry, IReadOnlyDictionary<string, object> values) => (Entry, this.values) = (entry, values);

    /// <summary>The registry's entry.</summary>
    public SpecEntry Entry { get; }

    /// <summary>The canonical name.</summary>
    public string Name => Entry.Name;

    /// <summary>Whether the key was given, or filled in from the model and the target length.</summary>
    public bool Has(string key) => values.ContainsKey(key);

    /// <summary>The key's number, or its default.</summary>
    public double Number(string key) => (double)Value(key);

    /// <summary>The key's number, or null when it was not given and has no default.</summary>
    public double? NumberOrNull(string key) => (double?)Find(key);

    /// <summary>The key's count of tokens, or its default.</summary>
    public int Tokens(string key) => (int)Value(key);

    /// <summary>The key's count of tokens, or null when it was not given and has no default.</summary>
    public int? TokensOrNull(string key) => (int?)Find(key);

    /// <summary>The key's flag, or its default.</summary>
    public bool Flag(string key) => (bool)Value(key);

    /// <summary>The key's word, or its default.</summary>
    public string Word(string key) => (string)Value(key);

    /// <summary>The key's list, or null when it was not given.</summary>
    public double[]? NumbersOrNull(string key) => (double[]?)Find(key);

    /// <summary>NAME or NAME:key=value,... with the keys in the registry's order.</summary>
    public override string ToString()
    {
        var given = Entry.Keys.Where(key => Has(key.Name)).Select(key => $"{key.Name}={SpecKey.Text(values[key.Name])}");
        var text = string.Join(',', given);
        return text.Length == 0 ? Name : $"{Name}:{text}";
    }

    /// <summary>The same part with every default filled in that depends on the model or the target length.</summary>
    internal SpecPart Resolve(PositionModel model, int targetLength)
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
                // Later defaults may depend on earlier ones.
                part = part.With(key.Name, derive(part, model, targetLength));
            }
        }

        return part;
    }

    /// <summary>The same part with another number.</summary>
    /// <exception cref="UserException">The number is out of the key's range.</exception>
    internal SpecPart With(string key, double number) =>
        With(key, Entry.Key(key).Value(number) ?? throw Entry.NotAllowed(Entry.Key(key), SpecKey.Text(number)));

    private SpecPart With(string key, object value) => new(Entry, new Dictionary<string, object>(values) { [key] = value });

    private object? Find(string key) => values.GetValueOrDefault(key) ?? Entry.Key(key).Default;

    private object Value(string key) =>
        Find(key) ?? throw new InvalidOperationException($"'{this}' was not resolved: {key} has no value");
}
