using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public partial class Module
        {
            public virtual IEnumerable<(string name, Module module)> named_children() =>
                submodules.Select(child => (child.Key, child.Value));

            public virtual IEnumerable<Module> children() => named_children().Select(child => child.module);

            /// <summary>All modules inside this one: first its own, then those of each in turn. Without itself.</summary>
            public virtual IEnumerable<(string name, Module module)> named_modules() =>
                named_children().Concat(submodules.SelectMany(child =>
                    child.Value.named_modules().Select(inner => ($"{child.Key}.{inner.name}", inner.module))));

            public virtual IEnumerable<Module> modules() => named_modules().Select(inner => inner.module);

            /// <summary>The parameters, own ones first; an object that is registered twice comes once, under its first name.</summary>
            public virtual IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true) =>
                Once(ownParameters.Select(own => (own.Key, own.Value)), recurse, child => child.named_parameters());

            public virtual IEnumerable<Parameter> parameters(bool recurse = true) =>
                named_parameters(recurse).Select(named => named.parameter);

            /// <summary>The persistent buffers; <paramref name="include_nonpersistent"/> brings no others, as in the package.</summary>
            public virtual IEnumerable<(string name, Tensor buffer)> named_buffers(bool recurse = true, bool include_nonpersistent = true) =>
                Once(
                    ownBuffers.Where(own => own.Value.IsPersistent).Select(own => (own.Key, own.Value.Tensor)),
                    recurse,
                    child => child.named_buffers(true, include_nonpersistent));

            public virtual IEnumerable<Tensor> buffers(bool recurse = true, bool include_nonpersistent = true) =>
                named_buffers(recurse, include_nonpersistent).Select(named => named.buffer);

            public virtual bool has_parameter(string target) => get_parameter(target) is not null;

            public virtual bool has_buffer(string target) => get_buffer(target) is not null;

            public virtual Parameter? get_parameter(string target) =>
                ownParameters.TryGetValue(target, out var own) ? own : InChild(target, (child, rest) => child.get_parameter(rest));

            public virtual Tensor? get_buffer(string target) =>
                ownBuffers.TryGetValue(target, out var own) ? own.Tensor : InChild(target, (child, rest) => child.get_buffer(rest));

            /// <summary>
            /// The tensors themselves, by name, none copied. A parameter that two modules share is there under both names.
            /// </summary>
            public virtual Dictionary<string, Tensor> state_dict(Dictionary<string, Tensor>? destination = null, string? prefix = null)
            {
                destination ??= [];
                var path = string.IsNullOrEmpty(prefix) ? "" : prefix + ".";
                foreach (var (key, parameter) in named_parameters())
                    destination.TryAdd(path + key, parameter);
                foreach (var (key, buffer) in named_buffers(include_nonpersistent: false))
                    destination.TryAdd(path + key, buffer);
                foreach (var (key, child) in submodules)
                    child.state_dict(destination, path + key);
                return destination;
            }

            /// <summary>
            /// Copies values into the tensors of the same names, converting dtype and device. With <paramref name="strict"/>,
            /// names on one side only are an <see cref="InvalidOperationException"/>; without it they are returned.
            /// </summary>
            public virtual (IList<string> missing_keys, IList<string> unexpected_keyes) load_state_dict(
                Dictionary<string, Tensor> source, bool strict = true, IList<string>? skip = null)
            {
                var destination = state_dict();
                var unexpected = source.Keys.Where(key => !IsSkipped(key) && !destination.ContainsKey(key)).ToList();
                var missing = destination.Keys.Where(key => !IsSkipped(key) && !source.ContainsKey(key)).ToList();
                if (strict && (missing.Count > 0 || unexpected.Count > 0))
                    throw new InvalidOperationException("The loaded state_dict is not identical to the target dictionary.");

                using var gradientsOff = no_grad();
                foreach (var (key, value) in source)
                    if (!IsSkipped(key) && destination.TryGetValue(key, out var target))
                        target.copy_(value);
                return (missing, unexpected);

                bool IsSkipped(string key) => skip?.Contains(key) ?? false;
            }

            // Tensors are told apart as objects, not by their data; disposed ones are left out.
            private IEnumerable<(string, T)> Once<T>(
                IEnumerable<(string Name, T Tensor)> own, bool recurse, Func<Module, IEnumerable<(string, T)>> ofChild)
                where T : Tensor
            {
                var all = recurse ? own.Concat(submodules.SelectMany(child => Prefixed(child.Key, ofChild(child.Value)))) : own;
                return all.Where(named => !named.Tensor.IsInvalid).DistinctBy(named => (object)named.Tensor, ReferenceEqualityComparer.Instance);
            }

            private static IEnumerable<(string Name, T Tensor)> Prefixed<T>(string prefix, IEnumerable<(string, T)> named) =>
                named.Select(inner => ($"{prefix}.{inner.Item1}", inner.Item2));

            private T? InChild<T>(string target, Func<Module, string, T?> find)
                where T : class
            {
                var dot = target.IndexOf('.', StringComparison.Ordinal);
                if (dot < 0)
                    return null;
                return named_children().Where(child => child.name == target[..dot])
                    .Select(child => find(child.module, target[(dot + 1)..]))
                    .FirstOrDefault(found => found is not null);
            }
        }
    }
}
