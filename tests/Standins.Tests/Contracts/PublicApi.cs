using System.Reflection;

namespace Standins.Tests.Contracts;

/// <summary>
/// The public and protected members of an assembly, one line each, in the form of the listings in tests/contracts
/// and without what a caller can't see: nullability of references, override, virtual, [Obsolete].
/// </summary>
internal static class PublicApi
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance
        | BindingFlags.Static | BindingFlags.DeclaredOnly;

    public static IEnumerable<string> Of(IEnumerable<Type> types) =>
        types.Where(IsVisible).SelectMany(OfType).Order(StringComparer.Ordinal);

    private static IEnumerable<string> OfType(Type type)
    {
        yield return Declaration(type);
        foreach (var member in Members(type))
            yield return $"{Signature.FullName(type)} :: {member}";
    }

    private static IEnumerable<string> Members(Type type)
    {
        if (type.IsEnum)
            return type.GetFields(BindingFlags.Public | BindingFlags.Static)
                .Select(value => $"enumvalue {value.Name} = {Convert.ToInt64(value.GetRawConstantValue())}");
        if (type.IsSubclassOf(typeof(Delegate)))
            return [];
        return
        [
            .. type.GetConstructors(Declared).Where(c => !c.IsStatic && IsVisible(c)).Select(Constructor),
            .. type.GetMethods(Declared).Where(m => IsVisible(m) && IsWritten(m)).Select(Method),
            .. type.GetProperties(Declared).Where(p => p.GetAccessors(true).Any(IsVisible)).Select(Property),
            .. type.GetFields(Declared).Where(f => IsVisible(f) && !IsGenerated(f)).Select(Field),
            .. type.GetEvents(Declared).Where(e => IsVisible(e.AddMethod!)).Select(Event),
        ];
    }

    private static string Declaration(Type type)
    {
        var name = Signature.FullName(type);
        var constraints = Signature.Constraints(type.GetGenericArguments());
        if (type.IsSubclassOf(typeof(Delegate)))
        {
            var invoke = type.GetMethod("Invoke")!;
            return $"{name} // delegate {Signature.Return(invoke)} ({Signature.Parameters(invoke)}){constraints}";
        }
        var bases = Bases(type).ToList();
        return $"{name} // {Kind(type)}{(bases.Count > 0 ? " : " + string.Join(", ", bases) : "")}{constraints}";
    }

    private static string Kind(Type type) => type switch
    {
        { IsEnum: true } => "enum",
        { IsInterface: true } => "interface",
        { IsByRefLike: true } => "ref struct",
        { IsValueType: true } => "struct",
        { IsAbstract: true, IsSealed: true } => "static class",
        { IsAbstract: true } => "abstract class",
        { IsSealed: true } => "sealed class",
        _ => "class",
    };

    private static IEnumerable<string> Bases(Type type)
    {
        if (type.IsEnum)
            return [Signature.Name(type.GetEnumUnderlyingType())];
        var inherited = type.BaseType?.GetInterfaces() ?? [];
        var interfaces = type.GetInterfaces().Except(inherited).Select(i => Signature.Name(i)).Order(StringComparer.Ordinal);
        var hasBase = type.BaseType is { } b && b != typeof(object) && b != typeof(ValueType);
        return hasBase ? interfaces.Prepend(Signature.Name(type.BaseType!)) : interfaces;
    }

    private static string Constructor(ConstructorInfo constructor) =>
        $"{Access(constructor)}.ctor({Signature.Parameters(constructor)})";

    private static string Method(MethodInfo method)
    {
        var arguments = method.IsGenericMethodDefinition ? method.GetGenericArguments() : [];
        var generic = arguments.Length > 0 ? $"<{string.Join(", ", arguments.Select(a => a.Name))}>" : "";
        return $"{Access(method)}{Modifier(method)}{Signature.Return(method)} {method.Name}{generic}"
            + $"({Signature.Parameters(method)}){Signature.Constraints(arguments)}";
    }

    private static string Property(PropertyInfo property)
    {
        var get = property.GetMethod is { } getter && IsVisible(getter) ? getter : null;
        var set = property.SetMethod is { } setter && IsVisible(setter) ? setter : null;
        var index = property.GetIndexParameters();
        var name = index.Length > 0 ? $"{property.Name}[{string.Join(", ", index.Select(Signature.Parameter))}]" : property.Name;
        var accessors = (get is null ? "" : "get; ") + (set is null ? "" : Setter(set, get ?? set));
        return $"{Access(get ?? set!)}{Modifier(get ?? set!)}{Signature.Name(property.PropertyType)} {name} {{ {accessors}}}";
    }

    private static string Setter(MethodInfo set, MethodInfo shown)
    {
        var isInit = set.ReturnParameter.GetRequiredCustomModifiers().Any(modifier => modifier.Name == "IsExternalInit");
        return isInit ? "init; " : set.IsFamily && shown.IsPublic ? "protected set; " : "set; ";
    }

    private static string Field(FieldInfo field)
    {
        var kind = field.IsLiteral ? "const " : field.IsStatic ? "static " : "";
        var value = field.IsLiteral ? " = " + Signature.Literal(field.GetRawConstantValue(), field.FieldType) : "";
        return $"{(field.IsPublic ? "" : "protected ")}{kind}{(field.IsInitOnly ? "readonly " : "")}"
            + $"{Signature.Name(field.FieldType)} {field.Name}{value}";
    }

    private static string Event(EventInfo e) => $"event {Signature.Name(e.EventHandlerType!)} {e.Name}";

    private static string Access(MethodBase method) => method.IsPublic ? "" : "protected ";

    private static string Modifier(MethodInfo method) =>
        method.DeclaringType!.IsInterface ? "" : method.IsStatic ? "static " : method.IsAbstract ? "abstract " : "";

    private static bool IsVisible(Type type) =>
        !IsGenerated(type)
        && (type.IsPublic || (type.IsNestedPublic || type.IsNestedFamily || type.IsNestedFamORAssem) && IsVisible(type.DeclaringType!));

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static bool IsVisible(FieldInfo field) => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly;

    // Accessors are shown by their property or event.
    private static bool IsWritten(MethodInfo method) =>
        !IsGenerated(method) && (!method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal));

    private static bool IsGenerated(MemberInfo member) => member.Name.Contains('<');
}
