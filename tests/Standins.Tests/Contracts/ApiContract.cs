using System.Text.RegularExpressions;

namespace Standins.Tests.Contracts;

/// <summary>
/// A package's complete public API, read from a listing in tests/contracts. An assembly keeps to it when its own
/// listing (<see cref="PublicApi"/>) has no line outside: same members to the letter, same kind, base and constraints
/// of every type, and no interface that the package's type lacks.
/// </summary>
internal sealed partial class ApiContract
{
    private readonly HashSet<string> members;
    private readonly Dictionary<string, TypeDeclaration> types;

    public ApiContract(IEnumerable<string> listing)
    {
        var lines = listing.Where(line => line.Length > 0).ToLookup(TypeDeclaration.IsOne);
        types = lines[true].Select(TypeDeclaration.Parse).ToDictionary(type => type.Name);
        var valueTypes = types.Values.Where(type => type.IsValueType).Select(type => "." + type.Name).ToList();
        members = [.. lines[false].Select(line => DropHiddenModifiers().Replace(DropReferenceMarks(line, valueTypes), ""))];
    }

    public static ApiContract Read(string file) =>
        new(File.ReadLines(Path.Combine(AppContext.BaseDirectory, "contracts", file)));

    /// <summary>The lines of a listing that the contract doesn't have.</summary>
    public IEnumerable<string> Outside(IEnumerable<string> listing) =>
        listing.Where(line => TypeDeclaration.IsOne(line) ? !Allows(TypeDeclaration.Parse(line)) : !members.Contains(line));

    private bool Allows(TypeDeclaration own) =>
        types.TryGetValue(own.Name, out var contract) && own.IsPartOf(contract);

    // "long?" is another type than "long" and stays; "string?" is the same type as "string". In these listings every
    // value type that can be null is a keyword, a tuple, or declared in the listing itself.
    private static string DropReferenceMarks(string line, List<string> valueTypes) =>
        NullableMark().Replace(line, match =>
        {
            var type = match.Groups["type"].Value;
            var isValue = type == ")" || ValueKeyword().IsMatch(type)
                || valueTypes.Any(name => name.EndsWith("." + type, StringComparison.Ordinal));
            return isValue ? match.Value : type;
        });

    [GeneratedRegex(@"(?<type>[\w.]+|[\])>])\?")]
    private static partial Regex NullableMark();

    [GeneratedRegex("^(bool|char|s?byte|u?short|u?int|u?long|float|double|decimal)$")]
    private static partial Regex ValueKeyword();

    [GeneratedRegex("(?<= :: (protected )?)(sealed override |override |virtual )")]
    private static partial Regex DropHiddenModifiers();

    /// <summary>The line of a type: <c>Name // kind : bases constraints</c>.</summary>
    private sealed record TypeDeclaration(string Name, string Kind, IReadOnlyList<string> Bases, string Constraints)
    {
        public bool IsValueType => Kind is "enum" or "struct";

        public static bool IsOne(string line) => line.Contains(" // ", StringComparison.Ordinal);

        public static TypeDeclaration Parse(string line)
        {
            var (name, rest) = Cut(line.Replace(" [Obsolete]", "", StringComparison.Ordinal), " // ");
            var (head, constraints) = rest.StartsWith("delegate ", StringComparison.Ordinal) ? (rest, "") : Cut(rest, " where ");
            var (kind, bases) = Cut(head, " : ");
            return new TypeDeclaration(name, kind, [.. Split(bases)], constraints);
        }

        public bool IsPartOf(TypeDeclaration contract) =>
            Kind == contract.Kind && Constraints == contract.Constraints
            && Bases.All(contract.Bases.Contains);

        private static (string Before, string After) Cut(string text, string mark)
        {
            var at = text.IndexOf(mark, StringComparison.Ordinal);
            return at < 0 ? (text, "") : (text[..at], text[(at + mark.Length)..]);
        }

        // At the commas between types, not at those between a type's own arguments.
        private static IEnumerable<string> Split(string types)
        {
            var (start, depth) = (0, 0);
            for (var i = 0; i < types.Length; i++)
            {
                depth += types[i] is '<' or '(' ? 1 : types[i] is '>' or ')' ? -1 : 0;
                if (types[i] != ',' || depth > 0)
                    continue;
                yield return types[start..i];
                start = i + 2;
            }
            if (types.Length > 0)
                yield return types[start..];
        }
    }
}
